"""Public data sets from where they are published: `catalogue` says what there is, `get` brings it.

    TO/.ablab-NAME/            work: ARCHIVE.part, ARCHIVE.part.version, ARCHIVE, tree/; gone once all is done
    TO/FOLDER/.ablab-complete  which archives stand unpacked in FOLDER, one a line

An archive is loaded, held against its checksum, unpacked, moved into its place, noted as complete and removed, and then
the next. Whatever is killed in between goes on from there.
"""

from ablab.tasks.detection.formats.download.catalogue import Piece, Source, catalogue
from ablab.tasks.detection.formats.download.fetch import Remote, fetch
from ablab.tasks.detection.formats.download.get import Got, get
from ablab.tasks.detection.formats.download.unpack import unpack

__all__ = ["Got", "Piece", "Remote", "Source", "catalogue", "fetch", "get", "unpack"]
