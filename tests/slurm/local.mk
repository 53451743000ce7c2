# tests/slurm: the job scripts of slurm/ on a real Slurm that each test brings up.  `make check-slurm` runs them within
# 5 minutes, `make check-slurm-long`, before a release, takes up to 15.
SLURM_TESTS = %D%/requeue_srun.sh %D%/requeue_mpirun.sh %D%/time_limit.sh %D%/dead_rank.sh %D%/array.sh %D%/chain.sh \
  %D%/cancel.sh %D%/sweep.sh
SLURM_LONG_TESTS = %D%/long_requeue.sh %D%/long_node_loss.sh
EXTRA_DIST += $(SLURM_TESTS) $(SLURM_LONG_TESTS) %D%/check.sh %D%/lib.sh

check-slurm: all
	+@MAKE="$(MAKE)" $(BASH_PROGRAM) $(srcdir)/tests/slurm/check.sh "$(abs_top_srcdir)" "$(abs_top_builddir)" \
	  $(SLURM_TESTS)
check-slurm-long: all
	+@MAKE="$(MAKE)" $(BASH_PROGRAM) $(srcdir)/tests/slurm/check.sh "$(abs_top_srcdir)" "$(abs_top_builddir)" \
	  $(SLURM_LONG_TESTS)
.PHONY: check-slurm check-slurm-long
CLEANFILES += $(SLURM_TESTS:.sh=.log) $(SLURM_TESTS:.sh=.trs) $(SLURM_LONG_TESTS:.sh=.log) \
  $(SLURM_LONG_TESTS:.sh=.trs) slurm-suite.log
