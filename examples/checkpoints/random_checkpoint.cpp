// random_checkpoint MODEL FOLDER: writes a folder of the published model's files, in their real layout and of their
// real sizes, with random weights. For trying how loading, memory and speed are at full size where the weights are not
// at hand.
//
//   open_flamingo_3b  open_flamingo_4b  open_flamingo_9b     checkpoint.pt (float32), lm/ (bfloat16),
//   vision.safetensors
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/config/presets/idefics.hpp>
#include <flamingo/config/presets/open_flamingo.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/io/hf_config.hpp>
#include <flamingo/io/open_flamingo_config.hpp>
#include <flamingo/io/torch_writer.hpp>
#include <flamingo/model/load.hpp>

namespace {

namespace fs = std::filesystem;
using namespace flamingo;
using P = Cpu<float>;

/// The fields of a config as JSON, by the same list that reads them.
class ConfigWriter {
 public:
  template <class T>
  void operator()(std::string_view name, const T& value, int = 0) {
    object_.push_back({std::string(name), json(value)});
  }
  template <class T>
  void also(std::string_view, const T&) {}
  template <class Part>
  void part(std::string_view name, Part& part) {
    ConfigWriter inside;
    part.each(inside);
    object_.push_back({std::string(name), io::Json(std::move(inside.object_))});
  }
  void add(std::string_view name, std::string_view text) {
    object_.push_back({std::string(name), io::Json(std::string(text))});
  }
  void write(const fs::path& path) {
    io::AtomicFile file(path);
    file.write(io::Json(std::move(object_)).dump(2));
    file.commit();
  }

 private:
  template <class T>
  static io::Json json(const T& value) {
    if constexpr (requires { value.begin()->size(); }) {
      io::Json::Array pairs;
      for (const auto& pair : value) pairs.push_back(io::Json(io::Json::Array(pair.begin(), pair.end())));
      return io::Json(std::move(pairs));
    } else if constexpr (std::is_same_v<T, std::vector<int>>) {
      return io::Json(io::Json::Array(value.begin(), value.end()));
    } else {
      return io::Json(value);
    }
  }
  io::Json::Object object_;
};

/// Numbers like those of a trained network: scales about 1, everything else small enough that rows keep their size.
class RandomNumbers {
 public:
  explicit RandomNumbers(std::uint64_t seed) {
    Random random(seed, 0);
    for (float& x : pool_) x = random.normal();
  }
  void fill(const io::TensorInfo& info, std::vector<std::byte>& bytes) {
    const bool vector = info.shape.size() < 2;
    const bool scale = vector && info.name.find("bias") == info.name.npos;
    std::int64_t columns = 1;
    for (std::size_t axis = 1; axis < info.shape.size(); ++axis) columns *= info.shape[axis];
    const float middle = scale ? 1.0f : 0.0f,
                deviation = vector ? 0.02f : 1 / std::sqrt(static_cast<float>(std::max<std::int64_t>(1, columns)));
    std::size_t at = hash(info.name) % pool_.size();
    const auto size = static_cast<std::size_t>(io::info(info.dtype).bytes);
    for (std::size_t i = 0; i < bytes.size() / size; ++i) {
      const float x = middle + deviation * pool_[at];
      at = at + 1 == pool_.size() ? 0 : at + 1;
      const bfloat16 narrow(x);
      if (info.dtype == io::DType::bf16)
        std::memcpy(bytes.data() + 2 * i, &narrow.bits, 2);
      else
        std::memcpy(bytes.data() + 4 * i, &x, 4);
    }
  }

 private:
  std::vector<float> pool_ = std::vector<float>(1000003);  // a prime, so that rows of a matrix differ
};

void write_random(const TensorWriter& shapes, const fs::path& path, std::uint64_t seed,
                  std::int64_t shard_bytes = std::numeric_limits<std::int64_t>::max()) {
  const std::vector<io::TensorInfo> infos = shapes.infos();
  io::SafetensorsWriter writer(path, infos, {{"format", "pt"}}, shard_bytes);
  RandomNumbers numbers(seed);
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    bytes.resize(static_cast<std::size_t>(io::byte_size(infos[i].dtype, infos[i].shape)));
    numbers.fill(infos[i], bytes);
    writer.write(i, bytes);
  }
  writer.commit();
}

io::HfMpt published(const Mpt& c) {
  io::HfMpt hf;
  hf.d_model = c.dim;
  hf.n_heads = c.heads;
  hf.n_layers = c.layers;
  hf.expansion_ratio = c.hidden_size() / c.dim;
  hf.max_seq_len = c.context;
  hf.vocab_size = c.vocabulary + c.added;
  hf.attn_config.qk_ln = c.qk_norm;
  hf.attn_config.clip_qkv = static_cast<double>(c.clamp);
  return hf;
}
io::HfGptNeox published(const GptNeox& c) {
  io::HfGptNeox hf;
  hf.vocab_size = c.vocabulary + c.added;
  hf.hidden_size = c.dim;
  hf.num_hidden_layers = c.layers;
  hf.num_attention_heads = c.heads;
  hf.intermediate_size = c.hidden_size();
  hf.rotary_pct = static_cast<double>(c.rotary_share);
  hf.max_position_embeddings = c.context;
  hf.use_parallel_residual = c.parallel;
  return hf;
}
TensorTable lm_names(const Mpt& c) {
  return mpt_names(c, c.qk_norm ? MptNaming::ln_mlp : MptNaming::norm_ffn);  // MPT-1B has the older names
}
TensorTable lm_names(const GptNeox& c) { return gpt_neox_names(c); }

/// The tables of tokens alone: what OpenFlamingo saves of its language model.
template <auto C>
struct Tokens {
  static void each(auto& visit) {
    auto tables = [&visit](const Spec& spec) {
      const std::string_view name = spec.name;
      if (name == "embedding" || name == "added" || name == "output" || name == "added_output") visit(spec);
    };
    DecoderOf<C.lm, P>::each(tables);
  }
};

template <auto C>
void open_flamingo(const fs::path& folder) {
  fs::create_directories(folder / "lm");
  TensorWriter vision(io::DType::f32), lm(io::DType::bf16), trained(io::DType::f32);
  vision.add_shapes<Encoder<C.vision, P>>(open_clip_vit_names(C.vision).within("", "visual."));
  lm.add_shapes<DecoderOf<C.lm, P>>(lm_names(C.lm));
  trained.add_shapes<model::Connector<C, P>>(open_flamingo_names(C));
  trained.add_shapes<Tokens<C>>(open_flamingo_lm_names(C.lm));
  write_random(vision, folder / "vision.safetensors", 1);
  write_random(lm, folder / "lm" / "model.safetensors", 2);
  const fs::path unpacked = folder / "trained.safetensors";
  write_random(trained, unpacked, 3);
  io::write_torch(folder / "checkpoint.pt", io::Safetensors(unpacked).tensors());
  fs::remove(unpacked);

  auto hf = published(C.lm);
  ConfigWriter lm_config;
  lm_config.add("model_type", std::is_same_v<std::remove_cvref_t<decltype(C.lm)>, Mpt> ? "mpt" : "gpt_neox");
  hf.each(lm_config);
  lm_config.write(folder / "lm" / "config.json");
}

template <auto C>
void idefics(const fs::path& folder) {
  fs::create_directories(folder);
  TensorWriter all(io::DType::bf16);
  all.add_shapes<Encoder<C.vision, P>>(idefics_vision_names());
  all.add_shapes<model::Connector<C, P>>(idefics_connector_names());
  all.add_shapes<DecoderOf<C.lm, P>>(idefics_lm_names(C.lm));
  write_random(all, folder / "model.safetensors", 1, std::int64_t{5} << 30);

  io::HfIdefics hf;
  hf.vocab_size = C.lm.vocabulary;
  hf.additional_vocab_size = C.lm.added;
  hf.hidden_size = C.lm.dim;
  hf.intermediate_size = C.lm.hidden;
  hf.num_hidden_layers = C.lm.layers;
  hf.num_attention_heads = C.lm.heads;
  hf.rms_norm_eps = static_cast<double>(C.lm.epsilon);
  hf.cross_layer_interval = C.xattn.every;
  hf.qk_layer_norms = hf.perceiver_config.qk_layer_norms_perceiver = hf.use_resampler = true;
  hf.vision_config.embed_dim = C.vision.dim;
  hf.vision_config.num_hidden_layers = C.vision.layers;
  hf.vision_config.num_attention_heads = C.vision.heads;
  ConfigWriter config;
  config.add("model_type", "idefics");
  hf.each(config);
  config.write(folder / "config.json");
}

struct Known {
  std::string_view name;
  void (*write)(const fs::path&);
};
constexpr Known known[]{{"open_flamingo_3b", open_flamingo<presets::open_flamingo_3b>},
                        {"open_flamingo_4b", open_flamingo<presets::open_flamingo_4b>},
                        {"open_flamingo_9b", open_flamingo<presets::open_flamingo_9b>},
                        {"idefics_9b", idefics<presets::idefics_9b>}};

}  // namespace

int main(int argc, char** argv) try {
  for (const Known& model : known)
    if (argc == 3 && argv[1] == model.name) {
      model.write(argv[2]);
      return 0;
    }
  std::cerr << "usage: random_checkpoint MODEL FOLDER\n  MODEL  one of";
  for (const Known& model : known) std::cerr << ' ' << model.name;
  std::cerr << '\n';
  return 2;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
