# ADAMIX_OPTIONAL(name, what, search, lost)
# --with-NAME=yes|no|auto for an optional library WHAT.  The commands SEARCH set adamix_have_NAME to yes where it is
# usable; they run unless the user said no.  LOST is what the summary says is missing without it.  A library that was
# asked for and is not there is an error.
AC_DEFUN([ADAMIX_OPTIONAL], [
  AC_ARG_WITH([$1],
    [AS_HELP_STRING([--with-$1], [use $2 @<:@auto@:>@; without it: $4])],
    [], [with_$1=auto])
  adamix_have_$1=no
  AS_IF([test "x$with_$1" != xno], [$3])
  AS_IF([test "x$with_$1" = xyes && test "x$adamix_have_$1" = xno],
    [AC_MSG_ERROR([--with-$1 was given, but $2 was not found])])
  AM_CONDITIONAL(m4_toupper([HAVE_$1]), [test "x$adamix_have_$1" = xyes])
  AS_IF([test "x$adamix_have_$1" = xyes],
    [AC_DEFINE(m4_toupper([HAVE_$1]), [1], [Define to 1 if $2 is used.])
     adamix_summary_$1="yes"],
    [adamix_summary_$1="no  ($4)"])
])
