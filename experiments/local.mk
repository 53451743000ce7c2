# experiments: what the paper claims, measured.  `make reproduce-quick` makes a few of the runs again.
reproduce-quick: all
	+@$(BASH_PROGRAM) $(srcdir)/experiments/quick.sh "$(abs_top_srcdir)" "$(abs_top_builddir)"
.PHONY: reproduce-quick
DISTCLEANDIRS += reproduce-quick
