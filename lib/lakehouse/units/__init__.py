"""Gold by units: what changed in silver since gold was published, which units of each table that touches, and their rows.

totals     what is counted of a table, and how the counts of a scope make those of the whole
whole      a table that is computed, staged and judged whole
changes    rows of silver that changed between two versions, from the data files that only one of them has
rows       the rows of a table of which those that bear given keys can be had: of a frame, or of gold
way        whether a run follows the change, or computes gold whole, and why
audit      tables that are computed whole in turn, to see whether their units missed a row
tables     the tables of a run that follows the change
"""
