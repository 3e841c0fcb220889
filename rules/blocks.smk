# Blocks of the config for the jobs that need them. Params ask for a block by these, which check it against the others
# and against this machine, so that a plan on paper meets no such check.
from llm.model.counts import parameter_counts
from llm.plan import feasible
from llm.training.engines.layout import Replicas
