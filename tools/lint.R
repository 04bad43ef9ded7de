# lintr on all R code, by the rules in .lintr; status 1 when it finds anything.
found <- lintr::lint_dir(".", exclusions = list("build", "demo"))
print(found)
quit(save = "no", status = as.integer(length(found) > 0L))
