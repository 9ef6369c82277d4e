#include <flamingo/eval/protocol/run_file.hpp>

#include <catch2/catch.hpp>
#include <fstream>

#include "io/files.hpp"

namespace run_file_test {

using namespace flamingo;
using io::Json;
using tests::error_of;

Json record(const char* item, double score) { return Json::Object{{"item", item}, {"score", score}}; }

TEST_CASE("an interrupted run goes on where its file ends", "[eval][run_file]") {
  const tests::TemporaryFolder folder;
  const auto path = folder.path() / "run.jsonl";
  const Json settings = Json::Object{{"task", "coco"}, {"seed", "1"}};
  {
    RunFile file(path, settings);
    CHECK(file.size() == 0);
    file.record(record("a", 0.5));
    file.record(record("b", 1.5));
    CHECK(error_of([&] { file.record(record("a", 2)); }).ends_with("item a is answered already"));
  }
  std::ofstream(path, std::ios::app) << "{\"item\": \"c\", \"sco";  // killed while it wrote
  {
    RunFile file(path, settings);
    CHECK(file.size() == 2);
    REQUIRE(file.find("b"));
    CHECK(file.find("b")->at("score").as_double() == 1.5);
    CHECK_FALSE(file.find("c"));
    file.record(record("c", 2.5));
  }
  CHECK(tests::read_bytes(path) ==
        "{\"task\":\"coco\",\"seed\":\"1\"}\n{\"item\":\"a\",\"score\":0.5}\n{\"item\":\"b\",\"score\":1.5}\n"
        "{\"item\":\"c\",\"score\":2.5}\n");
  // Even the first line may be half written.
  const auto begun = folder.write("begun.jsonl", "{\"task\":");
  RunFile file(begun, settings);
  CHECK(tests::read_bytes(begun) == "{\"task\":\"coco\",\"seed\":\"1\"}\n");
}

TEST_CASE("a run of other settings is not gone on with", "[eval][run_file]") {
  const tests::TemporaryFolder folder;
  const auto path = folder.path() / "run.jsonl";
  { RunFile file(path, Json::Object{{"task", "coco"}, {"seed", "1"}}); }
  const std::string before = tests::read_bytes(path);
  CHECK(error_of([&] {
          RunFile(path, Json::Object{{"task", "coco"}, {"seed", "2"}});
        }).ends_with("line 1: it is a run of other settings: seed \"1\", not \"2\"; remove it, or write elsewhere"));
  CHECK(tests::read_bytes(path) == before);
  const Json settings = Json::Object{{"a", 1}};
  const auto read = [&](const char* text) {
    return error_of([&] { RunFile(folder.write("x.jsonl", text), settings); });
  };
  CHECK(read("{\"a\":1}\n[]\n").ends_with("line 2: found no record of an item"));
  CHECK(read("{\"a\":1}\n{\"item\":\"b\"}\n{\"item\":\"b\"}\n").ends_with("line 3: item b is there twice"));
  CHECK(read("{\"a\":1}\nx\n").find("line 2, byte 0") != std::string::npos);
}

}  // namespace run_file_test
