"""What remains of a series: a file of raw figures, the numbers made of them, and the page that shows them."""
