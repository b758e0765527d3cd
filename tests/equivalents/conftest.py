"""Let pytest explain the assertions of the conformance kit."""

import pytest

pytest.register_assert_rewrite("tests.equivalents.operator_kit")
