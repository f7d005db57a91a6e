"""Filters that users type, such as ``score < 0.5 and category == round``.

The text is parsed, never evaluated: only comparisons of columns with numbers and words, joined by
and, or, not and parentheses, mean anything. A single word or number looks for labels, categories
and sources.
"""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ALIASES = {
    "id": "index",
    "shape": "solidity",
    "ok": "reviewed",
    "iou": "predicted_iou",
    "agree": "agreement",
    "length": "major_axis",
    "width": "minor_axis",
}
"""What the titles of the table's columns stand for."""

_LONGEST = 500
_EXAMPLE = "write it like: score < 0.5 and area > 100"


def matching(features: pd.DataFrame, text: str) -> NDArray[np.bool_]:
    """Return which rows a filter keeps.

    Parameters
    ----------
    features : DataFrame
        Of N rows; columns go by their names and by the titles that the table shows.
    text : str
        The filter; empty keeps all.

    Returns
    -------
    (N,) bool

    Raises
    ------
    UserError
        When the text is no filter, or names a column that there is not.
    """
    text = text.strip()
    if not text:
        return np.ones(len(features), np.bool_)
    if len(text) > _LONGEST:
        raise UserError(f"This filter is longer than {_LONGEST} characters; {_EXAMPLE}.")
    # = is what people write for ==
    source = re.sub(r"(?<![<>=!])=(?!=)", "==", text)
    try:
        tree = ast.parse(source, mode="eval").body
        found = _Filter(features).rows(tree)
    except UserError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"'{text}' is not a filter; {_EXAMPLE}.") from error
    return np.broadcast_to(np.asarray(found, np.bool_), len(features))


class _Filter:
    def __init__(self, features: pd.DataFrame) -> None:
        self._features = features

    def rows(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BoolOp):
            parts = [self.rows(value) for value in node.values]
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return join.reduce(np.broadcast_arrays(*parts))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return np.logical_not(self.rows(node.operand))
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.Name | ast.Constant):
            return self._search(node)
        raise ValueError("neither a comparison nor a word")

    def _comparison(self, node: ast.Compare) -> Any:
        values = [self._value(one) for one in (node.left, *node.comparators)]
        if not any(isinstance(one, np.ndarray) for one in values):
            word = node.left.id if isinstance(node.left, ast.Name) else "it"
            raise UserError(
                f"There is no column '{word}'; there are {', '.join(map(str, self._features))}."
            )
        found: Any = True
        for op, left, right in zip(node.ops, values, values[1:], strict=False):
            if type(op) not in _COMPARE:
                raise ValueError("not a comparison")
            found = np.logical_and(found, _compare(_COMPARE[type(op)], left, right))
        return found

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            name = node.id if node.id in self._features else _ALIASES.get(node.id.lower(), "")
            if name in self._features:
                return self._features[name].to_numpy()
            return {"true": True, "false": False, "yes": True, "no": False}.get(
                node.id.lower(), node.id
            )
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self._value(node.operand)
            if isinstance(value, int | float):
                return -value
        raise ValueError("neither a column nor a value")

    def _search(self, node: ast.Name | ast.Constant) -> Any:
        value = node.id if isinstance(node, ast.Name) else node.value
        if isinstance(value, int) and not isinstance(value, bool):
            return self._features["index"].to_numpy() == value
        name = _ALIASES.get(value, value) if isinstance(value, str) else ""
        if name in self._features:
            column = self._features[name]
            if column.dtype == bool:
                return column.to_numpy()
        word = str(value).lower()
        found: Any = np.zeros(len(self._features), np.bool_)
        for name in ("category", "source"):
            if name in self._features:
                texts = self._features[name].astype(str).tolist()
                found = found | np.array([word in one.lower() for one in texts], np.bool_)
        return found


def _compare(op: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if _holds_words(left) != _holds_words(right):  # nothing is equal to another kind of thing
        return op is operator.ne
    with np.errstate(invalid="ignore"):
        return op(left, right)


def _holds_words(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind in "OU")
