"""CPU seconds that whylogs takes to profile a table, on one thread.

    python profiling.py FILE COLUMNS

The file holds 64-bit floats, row by row. A small part of it is profiled first, so that what is
loaded once is loaded.
"""

import sys
import time

import numpy as np
import pandas as pd
import whylogs as why

columns = int(sys.argv[2])
table = np.fromfile(sys.argv[1], "<f8").reshape(-1, columns)
frame = pd.DataFrame(table, columns=[f"x{at}" for at in range(columns)])
why.log(pandas=frame.head(1_000))
before = time.process_time()
view = why.log(pandas=frame).view()
seconds = time.process_time() - before
assert view.get_column("x0").get_metric("counts").n.value == len(frame)
print(seconds)
