"""How large a shop is, what its products cost, and when its customers order.

The history runs from 2024-01-01 to 2025-12-31, the business date of the load; business day 1 is 2026-01-01.
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from benchmarks.shop.columns import Numbers, Zipf, generator

FIRST_DATE, LAST_DATE = date(2024, 1, 1), date(2025, 12, 31)
EPOCH = date(1970, 1, 1)
DAY = 86_400_000_000
"""Microseconds of a day."""
BEGINNING = (FIRST_DATE - EPOCH).days * DAY
END = ((LAST_DATE - EPOCH).days + 1) * DAY
CHUNK = 200_000
"""Rows made at a time: memory stays under 1 GB whatever the size."""
CAMPAIGNS = 200
# Products are bought by Zipf's own law. Of two million customers it would give one 6.5 % of all orders: theirs is flatter.
ZIPF_OF_PRODUCTS, ZIPF_OF_CUSTOMERS = 1.0, 0.7


class Size(StrEnum):
    """How many orders a shop has at the end of its history."""

    S = "S"
    M = "M"
    L = "L"

    @property
    def orders(self) -> int:
        return {"S": 100_000, "M": 1_000_000, "L": 10_000_000}[self.value]


def business_date(day: int) -> date:
    """The date of a business day; day 0 is that of the load."""
    return LAST_DATE + timedelta(days=day)


class Shop:
    """A shop of this many orders: a customer for every five of them, a product for every fifty."""

    def __init__(self, orders: int) -> None:
        self.orders = orders
        self.customers = max(orders // 5, 100)
        self.products = min(max(orders // 50, 200), 100_000)
        draw = generator(1)
        cents = np.round(np.exp(draw.normal(2.5, 1.0, self.products)) * 100).clip(50, 50_000).astype(np.int64)
        self.prices: Numbers = cents * 100
        in_fractions_of_cents = draw.random(self.products) < 0.1
        self.prices[in_fractions_of_cents] += draw.integers(1, 100, in_fractions_of_cents.sum())
        self.costs: Numbers = (self.prices * draw.uniform(0.4, 0.8, self.products)).astype(np.int64)

    @cached_property
    def popular_customers(self) -> Zipf:
        return Zipf(self.customers, ZIPF_OF_CUSTOMERS)

    @cached_property
    def popular_products(self) -> Zipf:
        return Zipf(self.products, ZIPF_OF_PRODUCTS)

    @cached_property
    def _demand(self) -> npt.NDArray[np.float64]:
        """The share of all orders up to the end of each day: it grows by half over the history and peaks before Christmas."""
        day = np.arange((END - BEGINNING) // DAY)
        calendar = np.array(FIRST_DATE, dtype="datetime64[D]") + day
        day_of_year = (calendar - calendar.astype("datetime64[Y]")).astype(int)
        season = 1 + 0.8 * np.exp(-(((day_of_year - 345) / 20.0) ** 2))
        week = np.array([1, 1, 1, 1.1, 1.3, 1.2, 0.8])[(calendar.astype(int) + 3) % 7]
        demand = np.cumsum((1 + 0.5 * day / len(day)) * season * week)
        return np.concatenate([[0], demand / demand[-1]])

    def moments(self, shares: npt.NDArray[np.float64]) -> Numbers:
        """The moments, in microseconds, by which these shares of all orders had been placed; whole milliseconds."""
        days = np.interp(shares, self._demand, np.arange(len(self._demand)))
        moments: Numbers = BEGINNING + (days * DAY).astype(np.int64).clip(0, END - BEGINNING - 1) // 1000 * 1000
        return moments
