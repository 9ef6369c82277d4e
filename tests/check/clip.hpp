/// Golden files of CLIPModel and of OpenCLIP, of any sizes.
#pragma once
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/model/clip/clip_names.hpp>
#include <flamingo/model/clip/dual_encoder.hpp>
#include <flamingo/model/weights.hpp>

#include "check/pictures.hpp"
#include "check/report.hpp"
#include "support/golden.hpp"

namespace flamingo::test {

/// Whose file it is.
enum class ClipPeer { hugging_face, open_clip };

/// The file that holds a golden's parameters and what stands before their names: itself, the folder beside it, or
/// (where a file shows only what another version of the peer computes) the file beside it of the same seed and config.
struct GoldenParameters {
  std::unique_ptr<io::Safetensors> file;
  std::string prefix = "param.";

  explicit GoldenParameters(const io::Safetensors& golden) {
    const std::filesystem::path path = golden.path(), folder = path.parent_path();
    if (take(path, golden)) return;
    if (std::string name = path.stem().string(); name.ends_with("_io")) {
      name.resize(name.size() - 3);
      file = std::make_unique<io::Safetensors>(folder / name / "model.safetensors");
      prefix.clear();
      return;
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.path().extension() == ".safetensors" && take(entry.path(), golden)) return;
    fail("golden", path.string(), ": no file beside it has its parameters");
  }

 private:
  bool take(const std::filesystem::path& path, const io::Safetensors& golden) {
    auto other = std::make_unique<io::Safetensors>(path);
    const auto tensors = other->tensors();
    const bool has = std::any_of(tensors.begin(), tensors.end(),
                                 [&](const io::TensorView& tensor) { return tensor.name.starts_with(prefix); });
    if (!has || told(*other, "seed") != told(golden, "seed") || told(*other, "config") != told(golden, "config"))
      return false;
    file = std::move(other);
    return true;
  }
  static std::string told(const io::Safetensors& file, std::string_view key) {
    for (const auto& [name, value] : file.metadata())
      if (name == key) return value;
    return {};
  }
};

/// Every result of a golden file against a dual encoder's. C.vision is the tower as OpenFlamingo takes its features.
template <ClipConfig C, ClipPeer peer, Platform P = Cpu<float>>
Report check_clip(const std::filesystem::path& path) {
  using R = typename P::Real;
  using Net = model::DualEncoder<C, P>;
  using Features = model::VisionTransformer<C.vision, P>;
  constexpr bool hugging_face = peer == ClipPeer::hugging_face;
  constexpr Need need = weight_gradients;
  const io::Safetensors file(path);
  const GoldenParameters parameters(file);
  Report report(file);
  TensorTable names, vision_names;
  if constexpr (hugging_face) {
    names = hugging_face_clip_names();
    vision_names = hugging_face_vit_names().within("", "vision_model.");
  } else {
    names = open_clip_names(C);
    vision_names = open_clip_vit_names(C.vision).within("", "visual.");
  }

  Store<Net, P> w, g;
  load_numbers<Net>(*parameters.file, w.views, names.within("", parameters.prefix));
  const GoldenPictures<R> pictures(file.at("in.pixel_values"));
  const char* ids_name = hugging_face ? "in.input_ids" : "in.text";
  const auto ids = numbers<int>(file.at(ids_name));
  const int B = static_cast<int>(file.at(ids_name).shape[0]), T = static_cast<int>(file.at(ids_name).shape[1]),
            M = static_cast<int>(pictures.grids.size());
  std::vector<int> mask(ids.size(), 1), real;  ///< real: places of our rows in the padded batch
  if (hugging_face) mask = numbers<int>(file.at("in.attention_mask"));
  std::vector<std::vector<int>> texts(static_cast<std::size_t>(B));
  for (int n = 0; n < B * T; ++n)
    if (mask[static_cast<std::size_t>(n)]) {
      std::vector<int>& text = texts[static_cast<std::size_t>(n / T)];
      check(static_cast<int>(text.size()) == n % T, "golden", path.string(), ": a text is padded before its end");
      text.push_back(ids[static_cast<std::size_t>(n)]);
      real.push_back(n);
    }
  const ClipTextPlan plan = ClipTextPlan::of(C.text, texts);

  Context<P> ctx(1);
  const auto images_out = keep<Net::J>(ctx, M), texts_out = keep<Net::J>(ctx, B);
  const auto dimages = keep<Net::J>(ctx, M), dtexts = keep<Net::J>(ctx, B);
  const auto nll = take_vector<AccumulateOf<P>, true>(ctx, M + B),
             weights = take_vector<AccumulateOf<P>, true>(ctx, M + B);
  const auto images =
      Net::template pictures<need>(ctx, w.views, pictures.template rows<P>(), pictures.grids, images_out);
  const auto lines = Net::template texts<need>(ctx, w.views, plan, texts_out);
  const auto contrast = Net::Loss::template forward<need>(ctx, w.views.log_scale, images_out, texts_out, nll);

  const auto output = [&](const std::string& name, const auto& rows) {
    if (file.find(name)) report.output(name, std::span(rows.data, rows.size()), numbers<double>(file.at(name)));
  };
  for (std::size_t i = 0; i < Net::VisionTower::layers; ++i)
    output("mid.vision_hidden_states." + std::to_string(i), images.tower.blocks[i].norm.x);
  output("mid.vision_hidden_states." + std::to_string(Net::VisionTower::layers), images.hidden);
  output("out.vision_last_hidden_state", images.hidden);
  output("out.vision_pooled", images.space.pooled);
  output("out.image_embeds", images_out);
  output("out.text_embeds", texts_out);
  output("out.text_pooled", lines.space.pooled);
  output("out.pooled", images.space.unit.x);
  {
    Store<Features, P> features_w;
    LoadReport found(path.string());  // the projection and the text are of no use to it
    load_numbers<Features>(*parameters.file, features_w.views, vision_names.within("", parameters.prefix), &found);
    found.finish();
    int rows = 0;
    for (const Grid& grid : pictures.grids) rows += Features::features(grid).rows();
    const auto features = keep<Features::D>(ctx, rows);
    Features::forward(ctx, features_w.views, pictures.template rows<P>(), pictures.grids, features);
    output(hugging_face ? "out.openflamingo_tokens" : "out.tokens", features);
  }
  if (const char* name = "out.text_last_hidden_state"; file.find(name)) {
    // All rows are normed there, and padding has rows of its own.
    const auto all = numbers<R>(file.at(name));
    const auto normed = keep<Net::E>(ctx, plan.rows());
    Net::TextTower::NormLayer::template forward<no_gradients>(ctx, w.views.text.norm, C.text.epsilon,
                                                              lines.tower.hidden, normed);
    std::vector<R> theirs;
    for (const int n : real) theirs.insert(theirs.end(), all.begin() + n * Net::E, all.begin() + (n + 1) * Net::E);
    report.output(name, std::span(normed.data, normed.size()), theirs);
  }
  if (file.find("out.logits_per_image")) {
    const auto a = keep(ctx, M, B), b = keep(ctx, B, M);
    const auto matrix = [](const auto& rows) {
      return MatrixView<P, dynamic, Net::J>{rows.data, Extent<dynamic>(rows.rows), {}};
    };
    ops::linear(ctx, contrast.scaled_pictures, matrix(texts_out), a);
    ops::linear(ctx, contrast.scaled_texts, matrix(images_out), b);
    output("out.logits_per_image", a);
    output("out.logits_per_text", b);
  }
  double loss = 0;
  for (int n = 0; n < M + B; ++n) {
    loss += static_cast<double>(nll.data[n]) / (M + B);
    weights.data[n] = AccumulateOf<P>(1) / static_cast<AccumulateOf<P>>(M + B);
  }
  report.output("out.loss", std::vector<double>{loss}, numbers<double>(file.at("out.loss")));

  Net::Loss::backward(ctx, w.views.log_scale, contrast, weights, dimages, dtexts, g.views.log_scale);
  Net::pictures_backward(ctx, w.views, images, pictures.grids, dimages, NoGrad{}, g.views);
  Net::texts_backward(ctx, w.views, lines, plan, dtexts, g.views);
  if (!file.find("grad.logit_scale")) return report;
  // Theirs through the same names: a fused tensor is compared part by part, and all of it must be asked for.
  const TensorTable gradient_names = names.within("", "grad.");
  Store<Net, P> theirs;
  load_numbers<Net>(file, theirs.views, gradient_names);
  auto compare = [&](const Spec& spec, const auto& ours, const auto& expected) {
    report.gradient(gradient_names.place(spec).name, std::span(ours.data, spec.size()),
                    std::span(expected.data, spec.size()));
  };
  Net::each(compare, g.views, theirs.views);
  return report;
}

}  // namespace flamingo::test
