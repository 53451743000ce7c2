# tests/mutants: each mistake of a table, made in a copy of the tree, has to turn a test red.
EXTRA_DIST += %D%/check.sh %D%/mistakes.tsv

check-mutants:
	@$(BASH_PROGRAM) $(srcdir)/tests/mutants/check.sh "$(abs_top_srcdir)" "$(abs_top_builddir)"
.PHONY: check-mutants
DISTCLEANDIRS += mutants
