# Whatever writes a file does with links, pipes, folders and devices what the others do, and leaves
# nothing of a file for which there is no room. The writers are in helper-writers.R.

writes <- function(name) {
  given <- sub(" .*", "", name)
  takes <- names(formals(getExportedValue("seqlift", given)))
  intersect(c("path", "output", "output_file", "ohe_path", "folder"), takes)
}

test_that("every function that writes a file is among the writers", {
  exports <- getNamespaceExports("seqlift")
  functions <- Filter(function(name) is.function(getExportedValue("seqlift", name)), exports)
  reads <- c(
    "load_model", "load_keras_model", "load_onnx_model", "read_h5", "read_motifs",
    "read_state_dict",
    "report_inputs"
  )
  # Here `output` is a choice.
  chooses <- c("taylor_ism", "plot_marginalization", "plot_spacing")
  takes_path <- Filter(
    function(name) length(writes(name)) > 0L, setdiff(functions, c(reads, chooses))
  )
  expect_setequal(unique(sub(" .*", "", names(c(file_writers(), folder_writers())))), takes_path)
})

test_that("links are followed, and what is no file is refused before any work", {
  skip_on_os("windows")
  writers <- Filter(can_write, file_writers())
  expect_gt(length(writers), 5L)
  for (name in names(writers)) {
    writer <- writers[[name]]
    folder <- new_folder()
    at <- function(file) file.path(folder, paste0(file, writer$ending))
    resumes <- grepl(" output$", name)
    if (!resumes) {
      writeLines("old", at("real"))
    }
    # A relative one: it is of the folder that it lies in.
    file.symlink(basename(at("real")), at("link"))
    writer$write(at("link"))
    expect_identical(Sys.readlink(at("link")), basename(at("real")), info = name)
    expect_gt(file.size(at("real")), 4, label = paste(name, "through a link"))
    expect_length(everything_in(folder), 2L)

    system2("mkfifo", shQuote(at("pipe")))
    dir.create(at("folder"))
    file.symlink(at("circle"), at("circle"))
    file.symlink(at("pipe"), at("to_pipe"))
    # Where it could be harmed by those who may.
    if (file.access("/dev", 2L) != 0L) {
      file.symlink("/dev/null", at("device"))
    }
    before <- everything_in(folder)
    refused <- function(path, words) {
      error <- tryCatch(writer$write(path), error = identity)
      expect_s3_class(error, "seqlift_error_file")
      message <- gsub("[[:space:]]", "", conditionMessage(error))
      expect_match(message, gsub(" ", "", words), fixed = TRUE, info = name)
      expect_match(message, path, fixed = TRUE, info = name)
    }
    refused(at("pipe"), "a named pipe (FIFO)")
    refused(at("to_pipe"), "a named pipe (FIFO)")
    refused(at("folder"), "is a folder")
    refused(at("circle"), "is a symbolic link that leads nowhere")
    refused(file.path(folder, "none", basename(at("new"))), "is in a folder that does not exist")
    refused(file.path(at("real"), basename(at("new"))), "is in a folder that does not exist")
    if (file.access("/dev", 2L) != 0L) {
      refused(at("device"), "a device")
    }
    expect_identical(everything_in(folder), before, info = name)
    expect_identical(system2("test", c("-p", shQuote(at("pipe")))), 0L, info = name)
    unlink(folder, recursive = TRUE)
  }
})

test_that("what is no path, and folders and files without permission, are refused", {
  writers <- Filter(can_write, file_writers())
  folder <- new_folder()
  for (name in names(writers)) {
    writer <- writers[[name]]
    for (wrong in list(NULL, NA_character_, "", 1, c("a", "b"), TRUE)) {
      # Without `output` the results are in memory.
      if (is.null(wrong) && grepl(" output$", name)) next
      expect_error(writer$write(wrong), class = "seqlift_error")
    }
  }
  expect_length(everything_in(folder), 0L)
  skip_if(file.access("/", 2L) == 0L, "this user may write everywhere")
  for (name in names(writers)) {
    writer <- writers[[name]]
    path <- file.path(folder, paste0("file", writer$ending))
    Sys.chmod(folder, "0555")
    expect_error(writer$write(path), "cannot be written", class = "seqlift_error_file")
    Sys.chmod(folder, "0755")
    writeLines("old", path)
    Sys.chmod(path, "0444")
    expect_error(writer$write(path), class = "seqlift_error")
    expect_identical(readLines(path), "old")
    unlink(path)
  }
})

test_that("folders of files follow links, refuse what is none, and keep what else is in them", {
  skip_on_os("windows")
  for (writer in Filter(can_write, folder_writers())) {
    folder <- new_folder()
    at <- function(...) file.path(folder, ...)
    # One that is not there yet.
    writer$write(at("new"))
    files <- list.files(at("new"), recursive = TRUE, all.files = TRUE)
    expect_true(writer$last %in% files)
    expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), "new")

    # One that is there, behind a link, with a file of somebody else, a link and a file of no
    # rights.
    dir.create(at("real"))
    writeLines("mine", at("real", "other.txt"))
    writeLines("old", at("elsewhere"))
    file.symlink(at("elsewhere"), at("real", writer$last))
    file.symlink("real", at("link"))
    writer$write(paste0(at("link"), "/"))
    expect_setequal(
      list.files(at("real"), recursive = TRUE, all.files = TRUE), c(files, "other.txt")
    )
    expect_identical(Sys.readlink(at("real", writer$last)), at("elsewhere"))
    expect_identical(readLines(at("elsewhere")), readLines(at("new", writer$last)))
    expect_identical(readLines(at("real", "other.txt")), "mine")
    for (file in setdiff(files, writer$last)) {
      expect_identical(
        tools::md5sum(at("real", file))[[1L]], tools::md5sum(at("new", file))[[1L]], info = file
      )
    }

    # What is in its way is refused before anything is touched.
    unlink(at("real", writer$last))
    refused <- function(path, words) {
      before <- everything_in(folder)
      error <- tryCatch(writer$write(path), error = identity)
      expect_s3_class(error, "seqlift_error_file")
      expect_match(
        gsub("[[:space:]]", "", conditionMessage(error)), gsub(" ", "", words), fixed = TRUE
      )
      expect_identical(everything_in(folder), before)
    }
    system2("mkfifo", shQuote(at("real", writer$last)))
    refused(at("real"), "a named pipe (FIFO)")
    system2("mkfifo", shQuote(at("pipe")))
    refused(at("pipe"), "a named pipe (FIFO)")
    refused(at("elsewhere"), "is a file")
    file.symlink(at("circle"), at("circle"))
    refused(at("circle"), "leads nowhere")
    refused(at("none", "hub"), "is in a folder that does not exist")
    refused("", "is empty")
    unlink(at("real", writer$last))
    inner <- unique(setdiff(dirname(files), "."))
    unlink(at("real", inner), recursive = TRUE)
    writeLines("in the way", at("real", inner[1L]))
    refused(at("real"), "is a file")
    for (wrong in list(NULL, NA_character_, 1, c("a", "b"))) {
      expect_error(writer$write(wrong), class = "seqlift_error")
    }
    unlink(folder, recursive = TRUE)
  }
})
