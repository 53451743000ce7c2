TESTS += %D%/usage.sh
EXTRA_DIST += %D%/lib.sh %D%/usage.sh
