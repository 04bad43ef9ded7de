// Numbers that are written once and read several times from the first to the last: in memory while
// they are few, then in a file without a name, so that memory does not grow with them.
#pragma once

#include <cstddef>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace seqlift {

class NumberStore {
 public:
  // At most `held` numbers are in memory; the file of more is in `folder`, and is gone with the
  // store or with the process, however that ends.
  NumberStore(std::size_t held, std::string folder) : held_(held), folder_(std::move(folder)) {}

  // Error("file") where there is no room.
  void add(const double* values, std::size_t n);
  std::size_t size() const { return size_; }
  // Pieces in their order, each of a whole number of `rows` numbers.
  void read(std::size_t rows,
            const std::function<void(const double* values, std::size_t n)>& visit) const;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void write(const double* values, std::size_t n);
  void open();

  std::size_t held_;
  std::string folder_;
  std::size_t size_ = 0;
  std::vector<double> numbers_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace seqlift
