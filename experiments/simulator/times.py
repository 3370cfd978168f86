"""When things happen in a visit: seconds after its begin, in the order in which a visitor does them."""

from experiments.simulator.plan import SECOND

VIEWED, NEXT_VIEW = 30 * SECOND, 45 * SECOND
BROWSED = 20 * SECOND  # after the slate: a click of somebody looking around …
READ = 5 * SECOND  # … and, so much later, the page it leads to
FILLED_CART = 150 * SECOND
FOUND = 200 * SECOND  # a click in the search results that leads to the order
LED = 215 * SECOND  # a click on a slate that does; each module has a second of its own
IN_CART = 270 * SECOND
ORDERED = 300 * SECOND
