# What could do harm is run as a user without rights, in a folder of its own.

# `command` with its arguments, as a user without rights where this one has all of them.
as_nobody <- function(command) {
  if (Sys.info()[["effective_user"]] != "root") {
    return(command)
  }
  skip_if(!nzchar(Sys.which("setpriv")), "root needs setpriv to become a user without rights")
  c("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", command)
}

# Everything in `folder` for that user, who must be able to load the package; `temporary` in it is
# that user's.
open_to_nobody <- function(folder) {
  file.create(file.path(folder, "log"))
  Sys.chmod(
    c(folder, list.files(folder, full.names = TRUE, recursive = TRUE, include.dirs = TRUE)), "0777",
    use_umask = FALSE
  )
  rscript <- file.path(R.home("bin"), "Rscript")
  readable <- run_as_nobody(
    c(rscript, "-e", "loadNamespace('seqlift')"), file.path(folder, "temporary"), stdout = FALSE,
    stderr = FALSE
  )
  skip_if(readable != 0L, "a user without rights cannot read this library")
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
