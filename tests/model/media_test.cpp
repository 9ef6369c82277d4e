#include <flamingo/model/media.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/random.hpp>

namespace media_test {

using namespace flamingo;

namespace {

/// Words, full stops and exclamation marks; <BOS> and <EOC> are one token, any other tag is three.
std::vector<std::string> word_level(std::string_view text) {
  std::vector<std::string> tokens;
  const auto letter = [](char c) { return c != ' ' && c != '<' && c != '>' && c != '.' && c != '!'; };
  while (!text.empty()) {
    std::size_t n = 1;
    if (text.starts_with("<BOS>") || text.starts_with("<EOC>"))
      n = 5;
    else if (letter(text[0]))
      while (n < text.size() && letter(text[n])) ++n;
    if (text[0] != ' ') tokens.emplace_back(text.substr(0, n));
    text.remove_prefix(n);
  }
  return tokens;
}

/// What a row of queries sees: the rows of pool 0, and whether all weigh the same.
struct Seen {
  std::set<int> rows;
  bool uniform = false;
  bool operator==(const Seen&) const = default;
};

/// A list of spans row by row, after a look that it keeps its promises.
std::vector<Seen> by_row(const SpanList& list, int rows) {
  std::vector<Seen> seen(static_cast<std::size_t>(rows));
  std::set<int> covered;
  int segments = 0;
  for (const Span& span : list.spans) {
    REQUIRE((span.rows > 0 && span.first_row >= 0 && span.first_row + span.rows <= rows));
    REQUIRE((span.segments > 0 && span.first_segment == segments));
    segments += span.segments;
    for (int row = span.first_row; row < span.first_row + span.rows; ++row) {
      REQUIRE(covered.insert(row).second);  // a row lies in at most one span
      Seen& one = seen[static_cast<std::size_t>(row)];
      one.uniform = span.uniform != 0;
      for (int i = span.first_segment; i < span.first_segment + span.segments; ++i) {
        const Segment& segment = list.segments[static_cast<std::size_t>(i)];
        REQUIRE((segment.pool == 0 && segment.causal == 0 && segment.count > 0));
        for (int key = segment.first; key < segment.first + segment.count; ++key)
          REQUIRE(one.rows.insert(key).second);  // a key counts once
      }
    }
  }
  REQUIRE(segments == static_cast<int>(list.segments.size()));
  return seen;
}

/// One token's view, straight from the rule's words. `tag_places` are those of all tags, `places` those of the media.
Seen oracle(const XattnConfig& c, int token, const std::vector<int>& tag_places, const std::vector<int>& places,
            int R) {
  int announced = 0;
  for (const int tag : tag_places) announced += tag <= token;
  const int M = static_cast<int>(places.size());
  Seen seen;
  const auto see = [&](int medium) {
    for (int r = 0; r < R; ++r) seen.rows.insert(places[static_cast<std::size_t>(medium)] * R + r);
  };
  const bool beyond = announced > M && c.visibility == Visibility::last_image;
  const bool evenly =
      (announced == 0 && c.before_first == NoImage::uniform) || (beyond && c.beyond_last == NoImage::uniform);
  for (int m = 0; m < M; ++m) {
    const bool number = m + 1 == announced, earlier = m + 1 <= announced;
    if (evenly || (c.visibility == Visibility::last_image ? number : earlier)) see(m);
  }
  seen.uniform = evenly && M > 0;
  return seen;
}

}  // namespace

TEST_CASE("φ of the paper's example is 8 zeros, 11 ones, 10 twos", "[media]") {
  const std::vector<std::string> tokens = word_level(
      "<BOS>Cute pics of my pets!<EOC><image>My puppy sitting in the grass.<EOC><image> My cat looking very "
      "dignified.<EOC>");
  std::vector<int> tags;
  for (std::size_t t = 0; t + 2 < tokens.size(); ++t)
    if (tokens[t] == "<" && tokens[t + 1] == "image" && tokens[t + 2] == ">") tags.push_back(static_cast<int>(t));
  CHECK(tags == std::vector<int>{8, 19});
  const std::vector<int> phi = phi_of(tags, static_cast<int>(tokens.size()));
  std::vector<int> expected(8, 0);
  expected.insert(expected.end(), 11, 1);
  expected.insert(expected.end(), 10, 2);
  CHECK(phi == expected);
}

TEST_CASE("spans say what each rule says, on random documents", "[media]") {
  Random draw(20221128, 1);
  for (int document = 0; document < 1000; ++document) {
    const int tokens = draw.below(24), first_row = draw.below(7), R = 1 + draw.below(4), media = draw.below(6);
    std::vector<int> tags, places;
    const int tagged = draw.below(3);  // few, some, many: also next to each other, also more or fewer than media
    for (int t = 0; t < tokens; ++t)
      if (draw.below(tagged == 0 ? 12 : tagged == 1 ? 5 : 2) == 0) tags.push_back(t);
    const bool in_a_row = draw.below(2) == 0;
    for (int m = 0; m < media; ++m) {  // anywhere, but each once
      int place = in_a_row ? m + 3 : draw.below(40);
      while (std::find(places.begin(), places.end(), place) != places.end()) ++place;
      places.push_back(place);
    }
    const std::vector<int> phi = phi_of(tags, tokens);
    for (const auto visibility : {Visibility::last_image, Visibility::all_earlier})
      for (const auto before : {NoImage::zero, NoImage::uniform})
        for (const auto beyond : {NoImage::zero, NoImage::uniform}) {
          const XattnConfig c{.visibility = visibility, .before_first = before, .beyond_last = beyond};
          SpanList list;
          add_media_spans(list, c, phi, first_row, places, R);
          const std::vector<Seen> seen = by_row(list, first_row + tokens);
          int wrong = 0;
          for (int row = 0; row < first_row + tokens; ++row)
            wrong += seen[static_cast<std::size_t>(row)] !=
                     (row < first_row ? Seen{} : oracle(c, row - first_row, tags, places, R));
          INFO("document " << document);
          REQUIRE(wrong == 0);
          if (in_a_row) {  // neighbours are one segment
            SpanList same;
            add_media_spans(same, c, phi, first_row, 3, media, R);
            REQUIRE(by_row(same, first_row + tokens) == seen);
            for (const Span& span : list.spans) REQUIRE(span.segments == 1);
          }
        }
  }
}

TEST_CASE("tokens see the run of adjacent images, as transformers' processor shows it", "[media]") {
  // Each image is shown from its tag to the next tag; where the next tag follows at once, as far as the next image is.
  Random draw(20221128, 3);
  for (int document = 0; document < 500; ++document) {
    const int tokens = draw.below(20), R = 4;
    std::vector<int> tags, ends, visible;
    for (int t = 0; t < tokens; ++t)
      if (draw.below(2) == 0) tags.push_back(t);
    const auto M = tags.size();
    for (std::size_t m = 0; m < M; ++m) {
      ends.push_back(m + 1 < M ? tags[m + 1] : tokens);
      visible.push_back(1 + draw.below(R));
    }
    for (std::size_t m = M; m-- > 0;)
      if (m + 1 < M && ends[m] == tags[m] + 1) ends[m] = ends[m + 1];
    const auto rule = NoImage(draw.below(3));
    const XattnConfig c{.visibility = Visibility::last_run, .before_first = rule};
    Sequence s;
    s.ids.assign(static_cast<std::size_t>(tokens), 5);
    s.phi = phi_of(tags, tokens);
    s.media = static_cast<int>(M);
    const DecoderPlan plan = DecoderPlan::of(std::span(&s, 1), c, R, visible);
    const std::vector<Seen> seen = by_row(plan.cross, tokens);
    for (int t = 0; t < tokens; ++t) {
      std::set<int> expected;
      const bool blind = tags.empty() || t < tags[0];
      for (std::size_t m = 0; m < M; ++m) {
        const bool shown = tags[m] <= t && t < ends[m], all = blind && rule != NoImage::zero;
        for (int r = 0; r < (all ? R : visible[m]); ++r)
          if (shown || all) expected.insert(static_cast<int>(m) * R + r);
      }
      INFO("document " << document << ", token " << t);
      REQUIRE(seen[static_cast<std::size_t>(t)].rows == expected);
      REQUIRE(seen[static_cast<std::size_t>(t)].uniform == (M > 0 && blind && rule == NoImage::uniform));
      REQUIRE(std::count(plan.blind.begin(), plan.blind.end(), t) == blind);
    }
  }
}

TEST_CASE("media with fewer rows than R are those of the batch", "[media]") {
  Sequence s;
  s.ids = {1, 2};
  s.phi = {1, 1};
  s.first_medium = 1;
  s.media = 1;
  const auto plan = [&](std::vector<int> visible) { return DecoderPlan::of(std::span(&s, 1), {}, 4, visible); };
  CHECK(by_row(plan({4, 3}).cross, 2)[1].rows == std::set<int>{4, 5, 6});
  CHECK_THROWS_WITH(plan({4}), "[sequence] it has the medium 1 of a batch that says of 1 how many rows they have");
  CHECK_THROWS_WITH(plan({4, 5}), "[sequence] medium 1 has 5 rows, expected 1 to 4");
  CHECK_THROWS_WITH(plan({4, 0}), "[sequence] medium 1 has 0 rows, expected 1 to 4");
}

TEST_CASE("after an end of document tokens see nothing until the next medium", "[media]") {
  // transformers' image_attention_mask_for_packed_input_ids on random documents, from its words: the running count of
  // images; after an end, and not at it, none until the next image.
  constexpr int end = 2, image = 9;
  const XattnConfig c{.end_of_document = end};
  Random draw(20221128, 2);
  for (int document = 0; document < 500; ++document) {
    std::vector<int> ids(static_cast<std::size_t>(draw.below(20))), tags, expected;
    bool ended = false;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      ids[t] = draw.below(4) == 0 ? end : draw.below(4) == 0 ? image : 5;
      if (ids[t] == image) tags.push_back(static_cast<int>(t));
      ended = ended && ids[t] != image;
      expected.push_back(ended ? 0 : static_cast<int>(tags.size()));
      ended = ended || ids[t] == end;
    }
    const std::vector<int> phi = phi_of(tags, static_cast<int>(ids.size()));
    int closed = -1;
    REQUIRE(seen_phi(c, ids, phi, closed) == expected);
    CHECK(seen_phi({}, ids, phi, closed) == phi);

    // Read in pieces, as by an engine.
    std::vector<int> pieces;
    closed = -1;
    for (std::size_t from = 0, to = 0; from < ids.size(); from = to) {
      to = std::min(ids.size(), from + static_cast<std::size_t>(1 + draw.below(5)));
      const auto seen =
          seen_phi(c, std::span(ids).subspan(from, to - from), std::span(phi).subspan(from, to - from), closed);
      pieces.insert(pieces.end(), seen.begin(), seen.end());
    }
    REQUIRE(pieces == expected);

    // As the decoder's tables have it: rows of two latents a medium.
    Sequence s;
    s.ids = ids;
    s.phi = phi;
    s.media = static_cast<int>(tags.size());
    const DecoderPlan plan = DecoderPlan::of(std::span(&s, 1), c, 2);
    const std::vector<Seen> seen = by_row(plan.cross, plan.rows());
    for (std::size_t t = 0; t < ids.size(); ++t) {
      const int first = 2 * (expected[t] - 1);
      REQUIRE(seen[t].rows == (expected[t] ? std::set<int>{first, first + 1} : std::set<int>{}));
    }
  }
}

TEST_CASE("a batch's tables keep its sequences apart", "[media]") {
  const std::vector<Sequence> batch{
      {.ids = {5, 7, 11}, .phi = {0, 1, 1}, .targets = {-1, 11, -1}, .first_medium = 0, .media = 1},
      {.ids = {2, 3}, .phi = {0, 0}, .targets = {}, .first_medium = 1, .media = 0},
      {.ids = {13, 17, 19, 23, 29},
       .phi = {1, 1, 2, 2, 2},
       .targets = {-1, 19, -1, 29, 0},
       .first_medium = 1,
       .media = 2}};
  const DecoderPlan plan = DecoderPlan::of(batch, {}, 4);
  CHECK(plan.rows() == 10);
  CHECK(plan.ids == std::vector<int>{5, 7, 11, 2, 3, 13, 17, 19, 23, 29});
  CHECK(plan.positions == std::vector<int>{0, 1, 2, 0, 1, 0, 1, 2, 3, 4});
  CHECK(plan.loss_rows == std::vector<int>{1, 6, 8, 9});
  CHECK(plan.targets == std::vector<int>{11, 19, 29, 0});
  REQUIRE(plan.self.spans.size() == 3);
  const std::vector<int> first{0, 3, 5}, count{3, 2, 5};
  for (std::size_t i = 0; i < 3; ++i) {
    const Span& span = plan.self.spans[i];
    const Segment& segment = plan.self.segments[static_cast<std::size_t>(span.first_segment)];
    CHECK((span.first_row == first[i] && span.rows == count[i] && span.position == 0 && span.segments == 1));
    CHECK((segment.first == first[i] && segment.count == count[i] && segment.position == 0 && segment.causal == 1));
  }
  const std::vector<Seen> cross = by_row(plan.cross, 10);
  for (const int row : {0, 3, 4}) CHECK(cross[static_cast<std::size_t>(row)].rows.empty());
  for (const int row : {1, 2}) CHECK(cross[static_cast<std::size_t>(row)].rows == std::set<int>{0, 1, 2, 3});
  for (const int row : {5, 6}) CHECK(cross[static_cast<std::size_t>(row)].rows == std::set<int>{4, 5, 6, 7});
  for (const int row : {7, 8, 9}) CHECK(cross[static_cast<std::size_t>(row)].rows == std::set<int>{8, 9, 10, 11});
}

TEST_CASE("a sequence whose lists differ in length is refused", "[media]") {
  const std::vector<Sequence> phi{{.ids = {5, 7, 11}, .phi = {0, 1}, .targets = {}, .first_medium = 0, .media = 1}},
      targets{{.ids = {5, 7}, .phi = {0, 1}, .targets = {1}, .first_medium = 0, .media = 1}};
  CHECK_THROWS_WITH(DecoderPlan::of(phi, {}, 4), "[sequence] 3 tokens with 2 φ and 0 targets");
  CHECK_THROWS_WITH(DecoderPlan::of(targets, {}, 4), "[sequence] 2 tokens with 2 φ and 1 targets");
}

}  // namespace media_test
