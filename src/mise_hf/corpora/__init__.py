"""One reader a corpus, all giving the same columns. Knows folders and file formats; imports no torch and none of our
other rooms.

`read_corpus("iemocap", root)` reads any of `CORPORA`; `write_prepared` and `read_prepared` keep the result on disk.
"""

from mise_hf.corpora.prepared import PreparedCorpus, read_prepared, write_prepared
from mise_hf.corpora.registry import CORPORA, read_corpus
from mise_hf.corpora.utterance import Corpus, Utterance

__all__ = ["CORPORA", "Corpus", "PreparedCorpus", "Utterance", "read_corpus", "read_prepared", "write_prepared"]
