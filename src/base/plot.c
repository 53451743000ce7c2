#include <adamix/base.h>

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What all plots have in common: tables with a title line, NaN for what there is not. */
static const char style[] = "set terminal svg size %d,%d dynamic background '#ffffff' font 'sans-serif,13'\n"
                            "set output '%s.svg'\n"
                            "set datafile separator '\\t'\n"
                            "set datafile missing 'nan'\n"
                            "set border 3\n"
                            "set tics nomirror out\n"
                            "set grid back linecolor '#dddddd'\n"
                            "set style line 1 linecolor '#0072b2' linewidth 2 pointtype 7 pointsize 0.6\n"
                            "set style line 2 linecolor '#d55e00' linewidth 2 pointtype 5 pointsize 0.6\n"
                            "set style line 3 linecolor '#009e73' linewidth 2 pointtype 9 pointsize 0.7\n"
                            "set style line 4 linecolor '#cc79a7' linewidth 2 pointtype 13 pointsize 0.8\n"
                            "set style line 9 linecolor '#888888' linewidth 1 dashtype 2\n"
                            "set style fill solid 0.4 noborder\n";

/* `gnuplot NAME.gp` in that folder; false if it could not be run or failed.  It warns of a flat curve: nothing to read. */
static bool
run_gnuplot (const char *folder, char *script)
{
  pid_t child;
  int status = -1;
  char program[] = "gnuplot", *arguments[] = { program, script, NULL };
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init (&actions)) return false;
  bool started = posix_spawn_file_actions_addchdir_np (&actions, folder) == 0 &&
                 posix_spawn_file_actions_addopen (&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
                 posix_spawnp (&child, program, &actions, NULL, arguments, environ) == 0;
  posix_spawn_file_actions_destroy (&actions);
  return started && waitpid (child, &status, 0) == child && WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

adamix_err
adamix_plot_draw (const char *folder, const char *name, int width, int height, const char *script, bool *drawn)
{
  adamix_err err = ADAMIX_OK;
  char *head = NULL, *all = NULL, *file = NULL, *path = NULL, *image = NULL;
  *drawn = false;
  ADAMIX_TRY (adamix_format (&head, style, width, height, name));
  ADAMIX_TRY (adamix_format (&all, "%s%s", head, script));
  ADAMIX_TRY (adamix_format (&file, "%s.gp", name));
  ADAMIX_TRY (adamix_path_join (&path, folder, file));
  ADAMIX_TRY (adamix_format (&image, "%s/%s.svg", folder, name));
  ADAMIX_TRY (adamix_file_write (path, all, strlen (all)));
  *drawn = run_gnuplot (folder, file);
  /* That of an earlier call, or a part of one, would not be told from a whole one. */
  if (!*drawn) unlink (image);
done:
  free (image);
  free (path);
  free (file);
  free (all);
  free (head);
  return err;
}
