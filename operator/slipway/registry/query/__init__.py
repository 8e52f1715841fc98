"""The language in which versions are searched for: ``metrics.roc_auc > 0.99 and params.C < 1``. Pure.

`parse` makes a tree of an expression, or says at which position it cannot; `matching` applies it to columns of values.
Nothing of an expression ever becomes part of a program or of another language.
"""

from slipway.registry.query.match import matching, ordered
from slipway.registry.query.parse import parse, parse_order
from slipway.registry.query.tree import And, Compare, InvalidQuery, Node, Not, Or, Order, Present

__all__ = [
    "And",
    "Compare",
    "InvalidQuery",
    "Node",
    "Not",
    "Or",
    "Order",
    "Present",
    "matching",
    "ordered",
    "parse",
    "parse_order",
]
