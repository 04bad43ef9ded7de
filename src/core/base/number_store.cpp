#include "core/base/number_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/base/error.h"

namespace seqlift {

namespace {

constexpr std::size_t piece = std::size_t{1} << 17;  // numbers that are read at a time, 1 MB

[[noreturn]] void fail(const std::string& folder, const char* what) {
  throw Error("file",
              std::string(what) + " a file in " + folder + " failed: " + std::strerror(errno));
}

}  // namespace

void NumberStore::open() {
  std::string path = folder_ + "/seqlift-XXXXXX";
  const int descriptor = ::mkstemp(path.data());
  if (descriptor < 0) {
    fail(folder_, "Making");
  }
  ::unlink(path.c_str());
  file_.reset(::fdopen(descriptor, "w+b"));
  if (!file_) {
    ::close(descriptor);
    fail(folder_, "Making");
  }
}

void NumberStore::write(const double* values, std::size_t n) {
  if (std::fwrite(values, sizeof(double), n, file_.get()) != n) {
    fail(folder_, "Writing");
  }
}

void NumberStore::add(const double* values, std::size_t n) {
  if (!file_ && size_ + n > held_) {
    open();
    write(numbers_.data(), numbers_.size());
    std::vector<double>().swap(numbers_);
  }
  if (file_) {
    write(values, n);
  } else {
    numbers_.insert(numbers_.end(), values, values + n);
  }
  size_ += n;
}

void NumberStore::read(
    std::size_t rows, const std::function<void(const double* values, std::size_t n)>& visit) const {
  if (!file_) {
    visit(numbers_.data(), size_);
    return;
  }
  std::vector<double> values(std::max<std::size_t>(piece / rows, 1) * rows);
  std::rewind(file_.get());  // and writes what is still in the buffer
  for (std::size_t done = 0; done < size_;) {
    const std::size_t n = std::min(values.size(), size_ - done);
    if (std::fread(values.data(), sizeof(double), n, file_.get()) != n) {
      fail(folder_, "Reading");
    }
    visit(values.data(), n);
    done += n;
  }
}

}  // namespace seqlift
