# tests/peer: side by side with PyTorch, transformers, tokenizers and scikit-learn.  `make check-peer` runs them in a
# virtual environment of its own; `make check` needs no Python.
PEER_TESTS = %D%/test_gradients.py %D%/test_hidden.py %D%/test_metrics.py %D%/test_tasks.py \
  %D%/test_tensorboard.py %D%/test_tokens.py %D%/test_trajectory.py
peer_programs = tests/peer/dump_model tests/peer/encode_records
tests_peer_dump_model_SOURCES = %D%/dump_model.c
tests_peer_dump_model_LDADD = libadamix.la $(JANSSON_LIBS) $(MPI_LIBS) -lm
tests_peer_encode_records_SOURCES = %D%/encode_records.c
tests_peer_encode_records_LDADD = libadamix.la $(JANSSON_LIBS) $(MPI_LIBS) -lm
EXTRA_PROGRAMS += $(peer_programs)
EXTRA_DIST += $(PEER_TESTS) %D%/check.sh %D%/encoders.py %D%/make_unicode_exceptions.py %D%/requirements.txt \
  %D%/run-python.sh %D%/runs.py %D%/tap.py %D%/tasks.py \
  %D%/trajectory.py

# One after the other: `all` is a make of its own, which must not build the library at the same time.
check-peer: all
	$(MAKE) $(AM_MAKEFLAGS) $(peer_programs)
	+@MAKE="$(MAKE)" $(BASH_PROGRAM) $(srcdir)/tests/peer/check.sh "$(abs_top_srcdir)" "$(abs_top_builddir)" $(PEER_TESTS)
.PHONY: check-peer
CLEANFILES += $(peer_programs) $(PEER_TESTS:.py=.log) $(PEER_TESTS:.py=.trs) peer-suite.log
DISTCLEANDIRS += peer-venv peer-venv.log peer-pip.log
