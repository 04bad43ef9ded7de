# What could do harm is run as a user without rights, in a folder of its own.

# `command` with its arguments, as a user without rights where this one has all of them.
as_nobody <- function(command) {
  if (Sys.info()[["effective_user"]] != "root") {
    return(command)
  }
  skip_if(!nzchar(Sys.which("setpriv")), "root needs setpriv to become a user without rights")
  c("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", command)
}

run_as_nobody <- function(command, folder, ...) {
  command <- as_nobody(command)
  variables <- c(
    HOME = folder, TMPDIR = folder, R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep),
    R_TESTS = "", OMP_NUM_THREADS = "1"
  )
  before <- Sys.getenv(names(variables), NA)
  on.exit({
    Sys.unsetenv(names(before)[is.na(before)])
    do.call(Sys.setenv, as.list(before[!is.na(before)]))
  })
  do.call(Sys.setenv, as.list(variables))
  suppressWarnings(system2(command[1L], shQuote(command[-1L]), ...))
}
