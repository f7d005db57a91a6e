"""Statistics of groups against numpy's of each group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sartorius.core.groups import Groups

COUNT = 5
floats = st.floats(-1e6, 1e6, width=32)


@given(st.data(), st.integers(0, 40))
def test_statistics_of_groups(data: st.DataObject, total: int) -> None:
    owner = data.draw(hnp.arrays(np.int64, total, elements=st.integers(0, COUNT - 1)))
    values = data.draw(hnp.arrays(np.float32, total, elements=floats))
    groups = Groups(owner, COUNT)
    shares = (0, 0.25, 0.5, 0.75, 1)
    found = groups.quantiles(values, shares)
    lower = groups.quantiles(values, (0.5,), lower=(0.5,))[0.5]
    mean, deviation = groups.mean(values), groups.std(values, 1)
    for group in range(COUNT):
        own = values[owner == group].astype(np.float64)
        if not len(own):
            assert np.isnan([mean[group], lower[group], *(q[group] for q in found.values())]).all()
            continue
        for share in shares:
            assert found[share][group] == pytest.approx(np.quantile(own, share), rel=1e-9, abs=1e-3)
        assert lower[group] == np.sort(own)[(len(own) - 1) // 2]
        assert mean[group] == pytest.approx(own.mean(), abs=1e-3)
        if len(own) == 1:
            assert np.isnan(deviation[group])
        else:
            assert deviation[group] == pytest.approx(own.std(ddof=1), rel=1e-6, abs=1e-3)
