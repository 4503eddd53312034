/// usage: encode_rows RUN ROWS OUT
/// Writes what a run makes of the rows [B, d] in the safetensors file ROWS (`activations`): `codes` [B, n]
/// and `reconstruction` [B, d], for a comparison with what another library makes of them.

#include <ATen/core/Tensor.h>

#include <exception>
#include <filesystem>
#include <iostream>

#include "core/io/safetensors.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: encode_rows RUN ROWS OUT\n";
    return 2;
  }
  try {
    regulon::core::PluginHost host({std::filesystem::path(REGULON_BUILD_DIR) / "plugins"});
    regulon::core::Run run(argv[1], host);
    const at::Tensor rows = regulon::core::SafetensorsFile(argv[2]).tensor("activations").to(at::kFloat);
    const regulon::Codes codes = run.encode(rows);
    regulon::core::write_safetensors(argv[3],
                                     {{"codes", codes.to_dense()}, {"reconstruction", run.decode(codes)}});
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
