// swift-tools-version: 6.0
import PackageDescription

// The C kernels are compiled optimised in debug builds too: tests over a scalar reference would
// crawl otherwise. Contraction is off so that a kernel rounds the same way on every machine; where
// a fused multiply-add is wanted, the source says so.
let kernelFlags: [CSetting] = [
  .unsafeFlags(["-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unused-parameter"])
]

let package = Package(
  name: "vlmz",
  targets: [
    // C
    .target(
      name: "CVLMKernels", cSettings: kernelFlags, linkerSettings: [.linkedLibrary("m")]),
    .systemLibrary(
      name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),

    // Libraries, lowest first; a layer imports only what stands above it here.
    .target(name: "VLMTensor"),
    .target(name: "VLMKernels", dependencies: ["VLMTensor", "CVLMKernels", "COpenBLAS"]),
    .target(name: "VLMCheckpoint", dependencies: ["VLMTensor"]),
    .target(name: "VLMContainer", dependencies: ["VLMTensor", "CZstd"]),
    .target(name: "VLMQuantize", dependencies: ["VLMTensor", "CVLMKernels"]),
    .target(name: "VLMNN", dependencies: ["VLMTensor", "VLMKernels"]),
    .target(name: "VLMModels", dependencies: ["VLMTensor", "VLMNN", "VLMKernels"]),
    .target(name: "VLMInput", dependencies: ["VLMTensor"]),
    .target(
      name: "VLMConvert",
      dependencies: [
        "VLMTensor", "VLMCheckpoint", "VLMContainer", "VLMQuantize", "VLMNN", "VLMModels",
        "VLMInput", "VLMKernels",
      ]),
    .target(
      name: "VLMRuntime",
      dependencies: [
        "VLMTensor", "VLMContainer", "VLMNN", "VLMModels", "VLMInput", "VLMKernels",
      ]),

    // Tests
    .testTarget(name: "VLMTensorTests", dependencies: ["VLMTensor"]),
    .testTarget(name: "VLMKernelsTests", dependencies: ["VLMKernels", "CVLMKernels"]),
    .testTarget(name: "VLMCheckpointTests", dependencies: ["VLMCheckpoint", "VLMTensor"]),
    .testTarget(name: "VLMContainerTests", dependencies: ["VLMContainer", "VLMTensor"]),
    .testTarget(
      name: "VLMQuantizeTests", dependencies: ["VLMQuantize", "VLMTensor", "CVLMKernels"]),
    .testTarget(name: "VLMInputTests", dependencies: ["VLMInput", "VLMTensor"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
