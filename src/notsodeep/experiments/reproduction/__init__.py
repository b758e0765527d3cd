"""The experiments of arXiv:2402.02697 and those about it, one file a study: configuration, units of work, rows."""
