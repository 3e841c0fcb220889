"""datatrove's filters on lists of documents (one JSON line each on stdin): CPU seconds of each filter as a JSON line.

For the environment of the peer; benchmarks/signals.py starts it.
"""

import json
import sys
import time

try:
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
except ImportError as error:
    raise SystemExit(f"error: {error}; see the head of benchmarks/signals.py") from error
from datatrove.utils.text import split_into_parts

filters = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(), FineWebQualityFilter()]
for each in filters:
    each.filter(Document(text="It loads its tokenizer with the first document that it sees.\n" * 20, id="0"))
for line in sys.stdin:
    texts = json.loads(line)
    seconds = {type(each).__name__: 0.0 for each in filters} | {"together": 0.0}
    for number, text in enumerate(texts):
        for name, chain in [(type(each).__name__, [each]) for each in filters] + [("together", filters)]:
            split_into_parts.cache_clear()  # within a chain the words of a document are split once
            begin = time.process_time()
            for each in chain:
                each.filter(Document(text=text, id=str(number)))
            seconds[name] += time.process_time() - begin
    print(json.dumps(seconds), flush=True)
