"""Training of finite networks: the readout on features computed once, or any weights through the network."""

from notsodeep.networks.training.records import Epoch, TrainResult
from notsodeep.networks.training.run import FILES, train
from notsodeep.networks.training.settings import TrainSettings

__all__ = ["FILES", "Epoch", "TrainResult", "TrainSettings", "train"]
