"""Recording of meetings: packets are written to files as they are, nothing is decoded while people talk.

`feed` taps a publication as one more subscriber. `reorder` puts packets in order, `depacketise` and `frames` make
frames of them, `writer` puts these into one WebM or Matroska file a track, in a thread. `journal` notes what happens
meanwhile, `manifest` is what a reader needs of it, `clocks` puts all tracks on one time axis. `recorder` holds a
meeting's tracks together. Afterwards `composer` (with `layout`, `labels`, `pictures`, `sounds`, `mixer`) makes one
playable file in a process of its own, `python -m chatd.bridge.compose`.
"""
