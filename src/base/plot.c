#include <adamix/base.h>

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What all plots have in common: tables with a title line, NaN for what there is not. */
static const char style[] = "if (exists ('png')) {\n"
                            "  set terminal pngcairo size %d,%d background '#ffffff' font 'sans-serif,13' "
                            "fontscale 2 linewidth 2 pointscale 2\n"
                            "  set output '%s.png'\n"
                            "} else {\n"
                            "  set terminal svg size %d,%d dynamic background '#ffffff' font 'sans-serif,13'\n"
                            "  set output '%s.svg'\n"
                            "}\n"
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

/* `gnuplot -e SETTING NAME.gp` in that folder; false if it could not be run or failed.  It warns of a flat curve: nothing to
 * read. */
static bool
run_gnuplot (const char *folder, char *setting, char *script)
{
  pid_t child;
  int status = -1;
  char program[] = "gnuplot", option[] = "-e", *arguments[] = { program, option, setting, script, NULL };
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init (&actions)) return false;
  bool started = posix_spawn_file_actions_addchdir_np (&actions, folder) == 0 &&
                 posix_spawn_file_actions_addopen (&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
                 posix_spawnp (&child, program, &actions, NULL, arguments, environ) == 0;
  posix_spawn_file_actions_destroy (&actions);
  return started && waitpid (child, &status, 0) == child && WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

/* Let gnuplot draw NAME.ENDING. */
static adamix_err
draw_image (const char *folder, const char *name, const char *ending, char *setting, char *script, bool *drawn)
{
  char *image;
  ADAMIX_RETURN_IF (adamix_format (&image, "%s/%s.%s", folder, name, ending));
  *drawn = run_gnuplot (folder, setting, script);
  /* That of an earlier call, or a part of one, would not be told from a whole one. */
  if (!*drawn) unlink (image);
  free (image);
  return ADAMIX_OK;
}

adamix_err
adamix_plot_draw (const char *folder, const char *name, int width, int height, const char *script, bool *drawn)
{
  adamix_err err = ADAMIX_OK;
  char *head = NULL, *all = NULL, *file = NULL, *path = NULL, nothing[] = "", png[] = "png = 1";
  bool also;
  *drawn = false;
  ADAMIX_TRY (adamix_format (&head, style, 2 * width, 2 * height, name, width, height, name));
  ADAMIX_TRY (adamix_format (&all, "%s%s", head, script));
  ADAMIX_TRY (adamix_format (&file, "%s.gp", name));
  ADAMIX_TRY (adamix_path_join (&path, folder, file));
  ADAMIX_TRY (adamix_file_write (path, all, strlen (all)));
  ADAMIX_TRY (draw_image (folder, name, "svg", nothing, file, drawn));
  ADAMIX_TRY (draw_image (folder, name, "png", png, file, &also));
done:
  free (path);
  free (file);
  free (all);
  free (head);
  return err;
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

adamix_err
adamix_figure_begin (adamix_figure *out)
{
  *out = (adamix_figure){ 0 };
  ADAMIX_RETURN_IF (adamix_draft_begin (&out->table));
  return adamix_draft_begin (&out->script);
}

adamix_err
adamix_figure_draw (adamix_figure *figure, const char *folder, const char *name, int width, int height, bool *drawn)
{
  adamix_err err = ADAMIX_OK;
  char *table = NULL;
  ADAMIX_TRY (adamix_format (&table, "%s.tsv", name));
  ADAMIX_TRY (adamix_draft_store (&figure->table, folder, table));
  ADAMIX_TRY (adamix_draft_end (&figure->script));
  ADAMIX_TRY (adamix_plot_draw (folder, name, width, height, figure->script.data, drawn));
done:
  free (table);
  adamix_figure_destroy (figure);
  return err;
}

void
adamix_figure_destroy (adamix_figure *figure)
{
  adamix_draft_destroy (&figure->table);
  adamix_draft_destroy (&figure->script);
}
