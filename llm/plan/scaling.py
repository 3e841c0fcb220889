"""Tells how many tokens a model should see, and how large a model a budget affords (Hoffmann et al. 2022, Chinchilla).

C = 6 N D throughout: C in FLOPs, D in tokens, N in parameters without regard to embeddings' share.
"""

from dataclasses import dataclass

TOKENS_PER_PARAMETER = 20  # Hoffmann et al. 2022, table 3: 1.5 T tokens for 67 B, 20.2 B for 1 B


@dataclass(frozen=True)
class Fit:
    """L(N, D) = e + a / N^alpha + b / D^beta, nats per token."""

    e: float
    a: float
    b: float
    alpha: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        return self.e + self.a / parameters**self.alpha + self.b / tokens**self.beta

    def optimal(self, flops: float) -> tuple[float, float]:
        """Return the (N, D) of least loss with 6 N D = flops (Hoffmann et al. 2022, eq. 4)."""
        share = 1 / (self.alpha + self.beta)
        scale = (self.alpha * self.a / (self.beta * self.b)) ** share
        parameters = scale * (flops / 6) ** (self.beta * share)
        return parameters, flops / 6 / parameters

    def optimal_tokens(self, parameters: float) -> float:
        """Return the D at which N parameters are the best use of a budget: alpha a / N^alpha = beta b / D^beta."""
        return (self.beta * self.b / (self.alpha * self.a) * parameters**self.alpha) ** (1 / self.beta)


PARAMETRIC = Fit(1.69, 406.4, 410.7, 0.34, 0.28)  # Hoffmann et al. 2022, eq. 10, approach 3
REPLICATED = Fit(1.8172, 482.01, 2085.43, 0.3478, 0.3658)  # Besiroglu et al. 2024, the same data fitted again

# Approaches 1 and 2: N proportional to C^a (table 2), through one point of table 3 and table A3: (C, N).
POWER_LAWS = {"approach 1": (0.50, 1.21e20, 1e9), "approach 2": (0.49, 1.20e20, 1e9)}


def optimal_by_power_law(approach: str, flops: float) -> tuple[float, float]:
    """Return (N, D) for a budget in FLOPs, by `approach 1` or `approach 2` of Hoffmann et al. 2022."""
    exponent, flops_at, parameters_at = POWER_LAWS[approach]
    parameters = parameters_at * (flops / flops_at) ** exponent
    return parameters, flops / 6 / parameters


def tokens_by_power_law(approach: str, parameters: float) -> float:
    """Return the tokens at which `parameters` is optimal: the power law solved for the budget."""
    exponent, flops_at, parameters_at = POWER_LAWS[approach]
    flops = flops_at * (parameters / parameters_at) ** (1 / exponent)
    return flops / 6 / parameters
