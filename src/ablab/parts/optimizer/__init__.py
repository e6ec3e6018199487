"""The slot `optimizer`: from groups of parameters to a torch.optim.Optimizer.

    part(params, lr, weight_decay, **own) -> Optimizer      params: [{"params": [...], "weight_decay": 0.0, ...}, ...]

The host gives `params` (a group may have a weight decay of its own), `lr` and `weight_decay`, as far as a part takes
them. `momentum` is the share of the last direction that is kept, whatever the paper calls it. Library code throughout,
torch's fused kernels where there are any.
"""

from ablab.parts.optimizer.adagrad import adagrad
from ablab.parts.optimizer.adam import adam, adamw, nadam
from ablab.parts.optimizer.lamb import lamb
from ablab.parts.optimizer.lbfgs import LBFGS
from ablab.parts.optimizer.lion import lion
from ablab.parts.optimizer.rmsprop import rmsprop
from ablab.parts.optimizer.sgd import sgd

__all__ = ["LBFGS", "adagrad", "adam", "adamw", "lamb", "lion", "nadam", "rmsprop", "sgd"]
