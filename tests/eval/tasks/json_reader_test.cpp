#include <flamingo/eval/tasks/json_reader.hpp>

#include <catch2/catch.hpp>

#include "made_up.hpp"

namespace json_reader_test {

using namespace flamingo;
using namespace flamingo::test;

std::vector<std::string> ids(const std::filesystem::path& file, std::string_view name) {
  std::vector<std::string> all;
  each_element(file, name, [&](const TaskJson& json) { all.push_back(json.at("id").id()); });
  return all;
}

TEST_CASE("elements of the array of a name come one by one, whatever stands beside it", "[eval][tasks]") {
  const TemporaryFolder folder;
  const auto file = folder.write("a.json",
                                 "\xef\xbb\xbf {\"info\": {\"x\": [1, \"]}\\\"\"]}, \"list\":\n [ {\"id\": 1},"
                                 "{\"id\": \"b\", \"y\": {\"list\": [[]]}} ], \"n\": -1.5e3, \"t\": true} ");
  CHECK(ids(file, "list") == std::vector<std::string>{"1", "b"});
  CHECK(ids(folder.write("b.json", "[]"), "").empty());
  CHECK(ids(folder.write("c.json", "{\"list\": []}"), "list").empty());
}

TEST_CASE("what is wrong with a file is told with its place", "[eval][tasks]") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& text, std::string_view name) {
    const auto file = folder.write("x.json", text);
    std::string message = error_of([&] { ids(file, name); });
    const std::string path = file.string();
    const std::size_t at = message.find(path);
    return at == message.npos ? message : message.replace(at, path.size(), "FILE");
  };
  CHECK(error("{\"a\": 1}", "list") == "[task] FILE: found no member 'list', expected an array of that name");
  CHECK(error("[1]", "list") == "[task] FILE, byte 0: found '[', expected '{'");
  CHECK(error("{\"list\": 3}", "list") == "[task] FILE: list, byte 9: found '3', expected '['");
  CHECK(error("{\"list\": [], \"list\": []}", "list") == "[task] FILE: the member 'list' is there twice");
  CHECK(error("{\"list\": [{\"id\": 1}", "list") ==
        "[task] FILE: list, byte 19: found the end of the file, expected ','");
  CHECK(error("[{\"id\": 1} {\"id\": 2}]", "") == "[task] FILE: , byte 11: found '{', expected ','");
  CHECK(error("[{\"id\": 1", "")
            .find("[task] FILE: [0], byte 9: found the end of the file, expected the end of what "
                  "began at byte 1") == 0);
  CHECK(error("[{\"id\": \"x]", "").find("expected the end of a string") != std::string::npos);
  CHECK(error("[{\"id\": 1}] 2", "") == "[task] FILE, byte 12: found '2', expected the end of the file");
  CHECK(error("[{\"id\": 1.5}]", "") == "[task] FILE: [0].id: found a number, expected a string or an integer");
  CHECK(error("[{\"i\": 1}]", "") == "[task] FILE: [0]: found no member 'id', expected one");
  CHECK(error("[7]", "") == "[task] FILE: [0]: found an integer, expected an object");
  CHECK(error("[{\"id\": 1,}]", "").find("[json] FILE: [0], byte 9: found '}'") == 0);
}

TEST_CASE("members have the type that is asked for", "[eval][tasks]") {
  const Json json =
      Json::parse(R"({"text": "a", "list": ["x", "y"], "n": 3, "real": 0.5, "null": null, "mixed": [1]})");
  const TaskJson task(json, "f");
  CHECK(task.at("text").text() == "a");
  CHECK(task.at("list").texts() == std::vector<std::string>{"x", "y"});
  CHECK(task.at("n").index(4) == 3);
  CHECK(task.at("n").number() == 3);
  CHECK(task.at("real").number() == 0.5);
  CHECK_FALSE(task.has("null"));
  CHECK_FALSE(task.has("none"));
  CHECK(error_of([&] { task.at("n").index(3); }) == "[task] f.n: found 3, expected 0 to 2");
  CHECK(error_of([&] { task.at("real").integer(); }) == "[task] f.real: found a number, expected an integer");
  CHECK(error_of([&] { task.at("mixed").texts(); }) == "[task] f.mixed[0]: found an integer, expected a string");
  CHECK(error_of([&] { task.at("n").list(); }) == "[task] f.n: found an integer, expected an array");
  CHECK(error_of([&] { task.at("text").number(); }) == "[task] f.text: found a string, expected a number");
}

TEST_CASE("JSON lines pass over empty ones", "[eval][tasks]") {
  const TemporaryFolder folder;
  std::vector<std::string> where;
  each_line(folder.write("a.jsonl", "{\"a\": 1}\r\n\n  \n{\"a\": 2}"), [&](const TaskJson& json) {
    where.push_back(json.where().substr(json.where().rfind(':')) + "=" + json.at("a").id());
  });
  CHECK(where == std::vector<std::string>{": line 1=1", ": line 4=2"});
  const auto bad = folder.write("b.jsonl", "{}\n{");
  CHECK(error_of([&] { each_line(bad, [](const TaskJson&) {}); }).find(": line 2, byte 1") != std::string::npos);
}

}  // namespace json_reader_test
