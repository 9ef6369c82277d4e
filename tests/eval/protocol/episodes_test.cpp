#include <flamingo/eval/protocol/episodes.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <set>

#include "io/files.hpp"

namespace episodes_test {

using namespace flamingo;
using tests::error_of;

namespace {

/// Eight classes of 3 to 10 pictures.
std::vector<TaskItem> pictures() {
  std::vector<TaskItem> items;
  for (int c = 0; c < 8; ++c)
    for (int i = 0; i < 3 + c; ++i) {
      const std::string id = std::to_string(c) + "/" + std::to_string(i);
      items.push_back(
          {.id = id, .media = {{id}}, .answers = {"name " + std::to_string(c)}, .type = "class " + std::to_string(c)});
    }
  return items;
}

}  // namespace

TEST_CASE("An episode shows K pictures of each of its classes and asks for another", "[eval][episodes]") {
  const std::vector<TaskItem> items = pictures();
  const Episodes episodes(items, {.most_shots = 4, .episodes = 50, .seed = 9});
  CHECK(episodes.classes() == 6);
  REQUIRE(episodes.queries().size() == 50);
  std::set<std::string> asked;
  std::map<int, int> labels;
  for (const TaskItem& query : episodes.queries()) {
    asked.insert(episodes.asked(query).id);
    ++labels[query.label];
    CHECK(query.media == episodes.asked(query).media);
    CHECK(query.candidates.size() == 5);
    CHECK(std::set(query.candidates.begin(), query.candidates.end()).size() == 5);
    CHECK(query.candidates[static_cast<std::size_t>(query.label)] == episodes.asked(query).answers[0]);
    std::set<std::string> fewer;
    for (const int k : {0, 1, 2, 4}) {
      const auto shots = episodes.shots(query, k, Support::random);
      REQUIRE(shots.size() == static_cast<std::size_t>(5 * k));
      std::map<int, int> of_way;
      std::set<std::string> ids;
      for (const TaskItem& shot : shots) {
        ++of_way[shot.label];
        ids.insert(shot.id);
        CHECK(shot.answers[0] == query.candidates[static_cast<std::size_t>(shot.label)]);
        CHECK(shot.id != episodes.asked(query).id);
      }
      for (const auto& [way, count] : of_way) CHECK(count == k);
      CHECK(ids.size() == shots.size());
      CHECK(std::includes(ids.begin(), ids.end(), fewer.begin(), fewer.end()));
      fewer = ids;
    }
  }
  CHECK(asked.size() > 20);
  for (int way = 0; way < 5; ++way) CHECK(labels[way] > 2);
  // The same draws again; others by another seed.
  const Episodes again(items, {.most_shots = 4, .episodes = 3, .seed = 9}),
      other(items, {.most_shots = 4, .episodes = 3, .seed = 10});
  CHECK(std::equal(again.queries().begin(), again.queries().end(), episodes.queries().begin()));
  CHECK_FALSE(again.queries() == other.queries());
  const auto order = [&](int k) {
    std::vector<std::string> ids;
    for (const TaskItem& shot : episodes.shots(episodes.queries()[0], k, Support::random)) ids.push_back(shot.id);
    return ids;
  };
  CHECK(order(4) == order(4));
  CHECK_FALSE(std::is_sorted(order(4).begin(), order(4).end()));
}

TEST_CASE("Made-up names are an episode's own", "[eval][episodes]") {
  const std::vector<TaskItem> items = pictures();
  const Episodes episodes(items, {.most_shots = 2, .episodes = 20, .made_up_names = true, .seed = 1});
  std::set<std::string> names;
  for (const TaskItem& query : episodes.queries()) {
    for (const std::string& name : query.candidates) {
      names.insert(name);
      CHECK(name.size() >= 5);
      CHECK(name.find("name") == name.npos);
    }
    for (const TaskItem& shot : episodes.shots(query, 2, Support::random))
      CHECK(shown_answer(TaskKind::classification, shot) == query.candidates[static_cast<std::size_t>(shot.label)]);
  }
  CHECK(names.size() > 90);
}

TEST_CASE("RICES shows those of each class that are most like the query, the most similar last", "[eval][episodes]") {
  const std::vector<TaskItem> items = pictures();
  const auto features = [](const TaskItem& item) {  // an angle that grows with the picture's number
    const double angle = 0.1 * std::stod(item.id.substr(2)) + 0.011 * std::stod(item.id);
    return std::vector{static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
  };
  FeatureIndex index("angles", 2);
  for (const TaskItem& item : items) index.add(item.id, features(item));
  const Episodes episodes(items, {.ways = 3, .most_shots = 4, .episodes = 10, .seed = 2});
  for (const TaskItem& query : episodes.queries()) {
    const auto unlike = [&](const TaskItem& item) {
      const auto a = features(episodes.asked(query)), b = features(item);
      return -(a[0] * b[0] + a[1] * b[1]);
    };
    const auto shots = episodes.shots(query, 2, Support::rices, &index);
    REQUIRE(shots.size() == 6);
    std::map<int, std::vector<TaskItem>> of_way;
    for (std::size_t i = 0; i < 6; ++i) {
      if (i > 0) CHECK(unlike(shots[i]) <= unlike(shots[i - 1]) + 1e-6f);
      of_way[shots[i].label].push_back(shots[i]);
    }
    for (const auto& [way, shown] : of_way) {
      REQUIRE(shown.size() == 2);
      for (const TaskItem& item : items)
        if (item.type == shown[0].type && item.id != shown[0].id && item.id != shown[1].id &&
            item.id != episodes.asked(query).id)
          CHECK(unlike(item) >= unlike(shown[0]) - 1e-6f);
    }
  }
  CHECK(error_of([&] { episodes.shots(episodes.queries()[0], 2, Support::rices); }).find("RICES needs") !=
        std::string::npos);
}

TEST_CASE("Too few classes are refused", "[eval][episodes]") {
  const std::vector<TaskItem> items = pictures();
  CHECK(error_of([&] { Episodes(items, {.most_shots = 7}); }) ==
        "[episodes] 3 classes of 8 have more than 7 pictures, expected at least 5");
  std::vector<TaskItem> nameless = items;
  nameless[3].type = "";
  CHECK(error_of([&] { Episodes(nameless, {}); }).starts_with("[episodes] item 1/0 has no type"));
  const Episodes episodes(items, {.most_shots = 3, .episodes = 1});
  CHECK(error_of([&] { episodes.shots(episodes.queries()[0], 4, Support::random); }).starts_with("[episodes] 4 shots"));
}

}  // namespace episodes_test
