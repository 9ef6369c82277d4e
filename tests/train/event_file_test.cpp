#include <flamingo/train/event_file.hpp>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "io/files.hpp"

namespace event_file_test {

using namespace flamingo;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

/// The data of a file's records, whose lengths must cover it.
std::vector<std::string> events_of(const std::string& bytes) {
  std::vector<std::string> events;
  for (std::size_t at = 0; at < bytes.size();) {
    std::uint64_t length = 0;
    REQUIRE(at + 12 <= bytes.size());
    std::memcpy(&length, bytes.data() + at, 8);
    REQUIRE(at + 16 + length <= bytes.size());
    events.push_back(bytes.substr(at + 12, length));
    CHECK(event_record(events.back()) == bytes.substr(at, 16 + length));
    at += 16 + length;
  }
  return events;
}

}  // namespace

TEST_CASE("a record has the bytes that tensorboard's own writer gives it", "[event_file]") {
  // tensorboard 2.21: RecordWriter.write(Event(wall_time=1.5, step=300, summary=[...]))
  constexpr std::string_view hex =
      "2e00000000000000c5cb57fa09000000000000f83f10ac022a200a110a0a6c6f73732f706169727315000010400a0b0a0472617465151"
      "7b7d1b83bce1a6f";
  std::string expected;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    expected += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  CHECK(scalar_record(1.5, 300, {{"loss/pairs", 2.25}, {"rate", -1e-4}}) == expected);
}

TEST_CASE("a file begins with its version and with where the run goes on", "[event_file]") {
  const TemporaryFolder folder;
  EventFile file(folder.path() / "run", 127), other(folder.path() / "run");
  file.write(128, {{"a", 1}});
  CHECK(file.path() != other.path());
  CHECK(file.path().filename().string().find("tfevents") != std::string::npos);
  const auto events = events_of(read_bytes(file.path()));
  REQUIRE(events.size() == 3);
  CHECK(events[0].substr(9) ==
        "\x1a\x0d"
        "brain.Event:2");
  CHECK(events[1].substr(9) == "\x10\x80\x01\x3a\x02\x08\x01");  // step 128, a session's start
  CHECK(events[2].substr(9) == std::string("\x10\x80\x01\x2a\x0a\x0a\x08\x0a\x01"
                                           "a\x15\x00\x00\x80\x3f",
                                           15));
  folder.write("file", "");
  CHECK_THROWS(EventFile(folder.path() / "file"));
}

TEST_CASE("tensorboard reads a run that was resumed", "[.all]") {
  const char* python = std::getenv("FLAMINGO_TENSORBOARD");  // an interpreter that finds the package
  REQUIRE(python != nullptr);
  const TemporaryFolder folder;
  {
    EventFile file(folder.path());
    for (long step = 1; step <= 9; ++step)
      file.write(step, {{"loss/pairs", 1.0 / static_cast<double>(step)}, {"rate", 0.5}});
  }
  EventFile file(folder.path(), 6);  // steps 7 to 9 were lost
  for (long step = 7; step <= 8; ++step) file.write(step, {{"loss/pairs", -static_cast<double>(step)}, {"rate", 0.25}});
  const std::string command =
      std::string(python) + " " + FLAMINGO_TEST_DATA + "/train/event_files.py " + folder.path().string();
  CHECK(std::system(command.c_str()) == 0);
}

}  // namespace event_file_test
