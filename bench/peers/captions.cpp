// What the forms of weights cost the captioner of examples/caption: bench_captions BACKBONES CONNECTOR ALBUM THREADS.
//
// Its held-out pictures, alone and after the album's four examples: 12 tokens written greedily by float32 weights are
// read with each other form, and how many it too finds the likeliest; the log-likelihood of the true names. The
// connector's own numbers were never rounded below bf16, so its 4 bits are honest ones.
#include <fstream>
#include <iostream>
#include <memory>

#include <flamingo/io/json.hpp>

#include "caption/model.hpp"
#include "support/program.hpp"
#include "support/quality.hpp"
#include "support/quantised.hpp"

namespace {

using namespace flamingo;
using namespace flamingo::bench;
using caption::Backbones, caption::Connector, caption::Lm, caption::Model;
using P = caption::P;
using ConnectorWeights = PackedWeights<Connector, P>;

class Bench {
 public:
  Bench(const std::filesystem::path& backbones, const std::filesystem::path& connector,
        const std::filesystem::path& album, int threads)
      : ctx_(threads),
        gguf_(std::make_shared<const io::Gguf>(backbones / "SmolLM2-135M-Instruct.Q4_1.gguf")),
        connector_(std::make_shared<const io::Safetensors>(connector)),
        backbones_(Backbones::load(backbones, Held::as_stored, Arrangement::panels)) {
    check_connector_metadata(caption::config, *connector_);
    std::ifstream in(album / "pictures.json");
    const io::Json json = io::Json::parse(std::string{std::istreambuf_iterator<char>(in), {}}, "pictures.json");
    const auto read = [&](const char* name, std::vector<Picture>& to) {
      for (const io::Json& p : json.at(name).as_array()) {
        const io::Image image = io::read_image(album / p.at("file").as_string());
        to.push_back({encode(ctx_, backbones_, std::span(&image, 1)), p.at("caption").as_string()});
      }
    };
    read("pictures", pictures_);
    read("support", support_);
    support_.resize(4);
  }

  void run() {
    const auto floats = lm(Held::as_floats), int8 = lm(Held::as_int8);
    const auto exact = connector(Held::as_floats);
    with_engine(exact.views, floats.views, [&](auto& engine, std::span<const Judged> all) {
      written_ = write(engine, all, 12);
      exact_ = judge(engine, all, {});
    });
    const auto& stored = backbones_.lm.views;
    tell("language model as stored", exact.views, stored);
    tell("connector int8", connector(Held::as_int8).views, stored);
    tell("connector q8_0", Quantised<Connector, P>(exact_rows().views, Format::q8_0).views, stored);
    tell("connector q4_1", Quantised<Connector, P>(exact_rows().views, Format::q4_1).views, stored);
    tell("all int8", connector(Held::as_int8).views, int8.views);
  }

 private:
  struct Picture {
    std::vector<float> features;
    std::string name;
  };

  PackedWeights<Lm, P> lm(Held held) const {
    return PackedWeights<Lm, P>::load(gguf_, held, gguf_llama_names(caption::config.lm), nullptr, Arrangement::panels);
  }
  ConnectorWeights connector(Held held, Arrangement arrangement = Arrangement::panels) const {
    return ConnectorWeights::load(connector_, held, {}, nullptr, arrangement);
  }
  const ConnectorWeights& exact_rows() {
    if (!rows_) rows_ = std::make_unique<ConnectorWeights>(connector(Held::as_floats, Arrangement::rows));
    return *rows_;
  }

  /// f(engine, documents of the pictures, alone and after four examples).
  template <class ConnectorViews, class F>
  void with_engine(const ConnectorViews& connector, const caption::LmWeights& lm, const F& f) {
    const int media = static_cast<int>(pictures_.size() + support_.size());
    auto engine = make_engine<Model>(ctx_, connector, lm, {.text_rows = 16384, .media = media});
    const auto add = [&](const Picture& p) {
      return engine.add_medium(Rows<P, caption::Encoder::D, const float>{p.features.data(), caption::cells, {}});
    };
    std::vector<Judged> all;
    for (const std::size_t shots : {std::size_t{0}, support_.size()})
      for (const Picture& picture : pictures_) {
        Judged& one = all.emplace_back();
        Document document;
        for (const Picture& shot : std::span(support_).first(shots)) {
          document.image("").given(" " + shot.name);
          one.media.push_back(add(shot));
        }
        document.image("");
        one.media.push_back(add(picture));
        one.prompt = sequence_of(document, backbones_.tokenizer, backbones_.tags);
        one.document = sequence_of(document.text(" " + picture.name), backbones_.tokenizer, backbones_.tags);
      }
    f(engine, std::span<const Judged>(all));
  }
  template <class ConnectorViews>
  void tell(const char* form, const ConnectorViews& connector, const caption::LmWeights& lm) {
    with_engine(connector, lm, [&](auto& engine, std::span<const Judged> all) {
      const Judgement judged = judge(engine, all, written_);
      Line line;
      line.with("task", "quality").with("size", "captioner").with("dtype", form).with_null("shots");
      line.with("nats", judged.nats).with("nats_float32", exact_.nats).with("kept", share_kept(judged, written_));
    });
  }

  Context<P> ctx_;
  std::shared_ptr<const io::Gguf> gguf_;
  std::shared_ptr<const io::Safetensors> connector_;
  Backbones backbones_;
  std::vector<Picture> pictures_, support_;
  std::unique_ptr<ConnectorWeights> rows_;
  std::vector<std::vector<int>> written_;
  Judgement exact_;
};

}  // namespace

int main(int count, char** words) try {
  check(count == 5, "bench", "usage: bench_captions BACKBONES CONNECTOR ALBUM THREADS");
  Bench(words[1], words[2], words[3], std::atoi(words[4])).run();
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
