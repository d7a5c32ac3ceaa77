"""The synthetic shop: two years of history, then business days of a fixed size.

columns   columns of texts, amounts and times, made without a loop over rows, and what is wrong with one row in a hundred
size      how large a shop is, what its products cost, and when its customers order
masters   customers, products, campaigns and inventory
sales     orders and their lines
load      the history, into an empty database
day       the next business day, in one transaction

The same size and the same days give the same rows, byte for byte: every draw has a generator of its own, seeded by what
it draws. One row in a hundred is dirty, and each dirty row has one fault out of its table's list, equally likely.
"""
