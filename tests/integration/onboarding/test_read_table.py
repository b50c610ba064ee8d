from sqlalchemy import Engine
from sentinel_etl.onboarding.live.read_table import read_table
import time
def test_x(city: Engine) -> None:
    t=time.time()
    live = read_table(city, "remarks")
    print(time.time()-t)
    for c in live.columns.values(): print(c)
    print(live.unique, live.primary_key, live.foreign_keys, live.referred.keys(), live.rows, live.sampled)
    for c in read_table(city, "stranger_encounters").columns.values(): print(c.name, c.personal, c.keywords)
    assert 0
