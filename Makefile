# What a user or developer types. Everything built goes to build/, the demo's pages to demo/.
# Paths of this file's own are relative: GNU make cannot handle a space in a target.

# What R and the compilers print should not depend on the user's language.
export LC_ALL = C.UTF-8

JOBS ?= $(shell nproc 2>/dev/null || echo 1)
LIBRARY ?= $(CURDIR)/build/library
# The package is found in LIBRARY first; nothing of the user's own library is touched.
WITH_LIBRARY = R_LIBS="$(LIBRARY)$${R_LIBS:+:$$R_LIBS}"

.PHONY: help demo test check repo vignettes sanitize bench lint tidy document site matrix container slurm \
  install core device clean

help:
	@echo 'make demo       install what is needed, build, run the main job; report in demo/'
	@echo 'make test       install what is needed, build, run all tests'
	@echo 'make check      R CMD check --as-cran and BiocCheck'
	@echo 'make repo       a CRAN-like repository of the source package and one of a Debian package,'
	@echo '                in build/repository'
	@echo 'make container  an image for docker and podman, in build/container (root)'
	@echo 'make vignettes  every vignette as a page, in build/vignettes'
	@echo 'make sanitize   the tests of the core under AddressSanitizer and UBSan'
	@echo 'make device     the tests of the core that need CUDA, with the LibTorch in LIBTORCH_HOME'
	@echo 'make bench      timings beside the bare model and beside tangermeme, if it is installed'
	@echo 'make lint       lintr, clang-format, cppcheck'
	@echo 'make tidy       clang-tidy on the core, which takes long'
	@echo 'make document   RcppExports, NAMESPACE and man/ from the sources'
	@echo 'make site       the help pages and vignettes as a web site, in build/site'
	@echo 'make matrix     make test in Debian 12, 13 and testing (root)'
	@echo 'make slurm      a job array of a Slurm of its own, on this host'
	@echo 'make install    build and install into build/library (LIBRARY=... for another)'
	@echo 'make clean      remove what the above made'

demo:
	@sh tools/install-dependencies run
	@$(MAKE) --no-print-directory install
	$(WITH_LIBRARY) Rscript --no-init-file tools/demo.R demo
	$(WITH_LIBRARY) Rscript --no-init-file tools/install-vignettes.R "$(LIBRARY)" seqlift

test:
	@sh tools/install-dependencies test
	@MAKEFLAGS=-j$(JOBS) sh tools/install-from-repository "$(LIBRARY)" build/objects
	cmake -S src/core -B build/tests -DSEQLIFT_BUILT="$(CURDIR)/build/objects"
	cmake --build build/tests --parallel $(JOBS)
	@$(WITH_LIBRARY) sh tools/run-tests build/tests/tests

# R_MAKEVARS_USER: objects are made anew when a header changes.
install:
	@mkdir -p "$(LIBRARY)"
	@rm -rf "$(LIBRARY)"/00LOCK-*
	MAKEFLAGS=-j$(JOBS) R_MAKEVARS_USER="$(CURDIR)/tools/Makevars" \
	  R CMD INSTALL --library="$(LIBRARY)" .

core:
	cmake -S src/core -B build/core
	cmake --build build/core --parallel $(JOBS)

device: core
	build/core/tests/test-core '[cuda]'

check:
	@sh tools/install-dependencies check
	@MAKEFLAGS=-j$(JOBS) sh tools/check build/check

repo:
	@sh tools/install-dependencies run
	@MAKEFLAGS=-j$(JOBS) sh tools/make-repository
	@MAKEFLAGS=-j$(JOBS) sh tools/make-debian-repository

container:
	@JOBS=$(JOBS) sh tools/container/build

vignettes:
	@sh tools/install-dependencies run
	@$(MAKE) --no-print-directory install
	$(WITH_LIBRARY) Rscript --no-init-file tools/vignettes.R build/vignettes
	$(WITH_LIBRARY) Rscript --no-init-file tools/install-vignettes.R "$(LIBRARY)"

sanitize:
	@sh tools/install-dependencies test
	cmake -S src/core -B build/sanitize -DSEQLIFT_SANITIZE=ON
	cmake --build build/sanitize --parallel $(JOBS)
	LSAN_OPTIONS=suppressions="'$(CURDIR)/tools/suppressions/leaks.txt'" \
	UBSAN_OPTIONS=print_stacktrace=1 \
	  ctest --test-dir build/sanitize --output-on-failure

bench:
	@sh tools/install-dependencies bench
	@bench/run

lint:
	@sh tools/install-dependencies lint
	@JOBS=$(JOBS) sh tests/shell/test-lint

# Nearly every file of the core includes LibTorch: half a minute each, too long for every day.
tidy:
	@sh tools/install-dependencies tidy
	cmake -S src/core -B build/tidy -DSEQLIFT_BATCHES=OFF
	find src/core -name '*.cpp' | xargs -n 4 -P $(JOBS) clang-tidy --quiet -p build/tidy

# The help of demo_model() quotes numbers that the installed package holds.
document:
	@sh tools/install-dependencies document
	$(WITH_LIBRARY) Rscript --no-init-file -e 'roxygen2::roxygenise(load_code = "source"); Rcpp::compileAttributes()'

site:
	@sh tools/install-dependencies site
	@$(MAKE) --no-print-directory install
	$(WITH_LIBRARY) Rscript --no-init-file tools/site.R

matrix:
	sh tools/matrix

slurm:
	@sh tools/install-dependencies slurm
	@$(MAKE) --no-print-directory install
	$(WITH_LIBRARY) sh tools/slurm-array

clean:
	rm -rf build demo
	sh ./cleanup
