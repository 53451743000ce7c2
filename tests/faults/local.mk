# tests/faults: errors on demand, at every place that can fail, one after the other.  They need a build of their own:
# `make check-faults` makes it in faults/ of the build folder and tries a few places of each site, `make check-faults-full` many.
FAULT_TESTS = %D%/alone.sh %D%/eval.sh %D%/merge.sh %D%/report.sh %D%/reproducible.sh %D%/resume.sh %D%/sweep.sh %D%/text.sh %D%/train.sh %D%/usage.sh
EXTRA_DIST += $(FAULT_TESTS) %D%/check.sh %D%/lib.sh %D%/runs.sh

check-faults:
	+@$(BASH_PROGRAM) $(srcdir)/tests/faults/check.sh "$(abs_top_srcdir)" "$(abs_top_builddir)" $(FAULT_TESTS)
check-faults-full:
	+@ADAMIX_FAULTS=$${ADAMIX_FAULTS:-24} $(MAKE) $(AM_MAKEFLAGS) check-faults
.PHONY: check-faults check-faults-full
CLEANFILES += $(FAULT_TESTS:.sh=.log) $(FAULT_TESTS:.sh=.trs) faults-suite.log
DISTCLEANDIRS += faults
