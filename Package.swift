// swift-tools-version: 6.0
import PackageDescription

// The C kernels are compiled optimised in debug builds too: tests over a scalar reference would
// crawl otherwise. Contraction is off so that a kernel rounds the same way on every machine; where
// a fused multiply-add is wanted, the source says so.
let kernelFlags: [CSetting] = [
  .unsafeFlags(["-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unused-parameter"])
]

// Lane vectors are passed between inlined functions only, so their calling convention is moot.
let encodeFlags: [CSetting] = [
  .unsafeFlags([
    "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-psabi",
  ])
]

let package = Package(
  name: "vlmz",
  products: [
    // What `scripts/fuzz` links; the commands are products without being named.
    .library(name: "VLMFuzz", type: .static, targets: ["VLMFuzzTargets"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
  ],
  targets: [
    // C
    .target(
      name: "CVLMKernels", cSettings: kernelFlags, linkerSettings: [.linkedLibrary("m")]),
    .target(name: "CVLMEncode", dependencies: ["CVLMKernels"], cSettings: encodeFlags),
    .target(name: "CVLMPeak", dependencies: ["CVLMKernels"], cSettings: kernelFlags),
    .target(name: "CVLMSystem"),
    .target(name: "CVLMBlas"),
    .target(name: "CVLMHash", cSettings: kernelFlags),
    .target(
      name: "CImageCodecs",
      cSettings: kernelFlags,
      linkerSettings: [
        .linkedLibrary("png"), .linkedLibrary("jpeg"), .linkedLibrary("webp"),
        .linkedLibrary("webpdemux"),
      ]),
    .systemLibrary(
      name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(
      name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),

    // Libraries, lowest first; a layer imports only what stands above it here.
    .target(name: "VLMTensor", dependencies: ["CVLMSystem"]),
    .target(name: "VLMKernels", dependencies: ["VLMTensor", "CVLMKernels", "CVLMBlas"]),
    .target(name: "VLMCheckpoint", dependencies: ["VLMTensor", "CVLMEncode", "CZlib"]),
    .target(name: "VLMQuantize", dependencies: ["VLMTensor", "CVLMEncode"]),
    .target(
      name: "VLMContainer", dependencies: ["VLMTensor", "VLMQuantize", "CZstd", "CVLMHash"]),
    .target(name: "VLMNN", dependencies: ["VLMTensor", "VLMKernels"]),
    .target(name: "VLMModels", dependencies: ["VLMTensor", "VLMNN", "VLMKernels"]),
    .target(
      name: "VLMInput",
      dependencies: ["VLMTensor", "VLMKernels", "CImageCodecs", "CPCRE2", "CZlib"]),
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

    .target(
      name: "VLMBench",
      dependencies: [
        "CVLMKernels", "CVLMPeak", "CVLMBlas", "VLMTensor", "VLMKernels", "VLMContainer",
        "VLMQuantize", "VLMNN", "VLMModels", "VLMInput", "VLMConvert", "VLMRuntime",
      ]),

    // Commands
    .target(
      name: "VLMCommandLine",
      dependencies: [
        "VLMTensor", "VLMKernels",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "vlm-convert",
      dependencies: [
        "VLMCommandLine", "VLMConvert", "VLMCheckpoint", "VLMContainer", "VLMInput", "VLMKernels",
        "VLMModels", "VLMRuntime", "VLMTensor",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "vlm-run",
      dependencies: [
        "VLMCommandLine", "VLMRuntime", "VLMCheckpoint", "VLMContainer", "VLMInput", "VLMKernels",
        "VLMModels", "VLMNN", "VLMTensor",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    .executableTarget(
      name: "vlm-bench",
      dependencies: [
        "VLMCommandLine", "VLMBench", "VLMContainer", "VLMKernels", "VLMModels", "VLMRuntime",
        "VLMTensor",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // Tests
    .target(
      name: "VLMTestSupport", dependencies: ["VLMTensor", "VLMCheckpoint", "VLMNN"],
      path: "Tests/VLMTestSupport"),
    .testTarget(
      name: "VLMTensorTests", dependencies: ["VLMTensor", "VLMTestSupport", "SystemProbe"]),
    .executableTarget(
      name: "SystemProbe", dependencies: ["VLMTensor", "VLMCheckpoint", "VLMInput"],
      path: "Tests/SystemProbe"),
    .testTarget(
      name: "VLMKernelsTests",
      dependencies: ["VLMKernels", "CVLMKernels", "VLMTensor", "VLMTestSupport"]),
    .testTarget(
      name: "VLMCheckpointTests",
      dependencies: [
        "VLMCheckpoint", "VLMContainer", "VLMConvert", "VLMTensor", "VLMTestSupport", "SystemProbe",
        "VLMKernels", "VLMModels", "VLMNN", "VLMRuntime", "CZlib",
      ]),
    .testTarget(
      name: "VLMContainerTests",
      dependencies: ["VLMContainer", "VLMTensor", "VLMTestSupport", "CVLMHash"]),
    .testTarget(
      name: "VLMQuantizeTests",
      dependencies: ["VLMQuantize", "VLMTensor", "CVLMEncode", "CVLMKernels", "VLMTestSupport"]),
    .testTarget(
      name: "VLMNNTests", dependencies: ["VLMNN", "VLMKernels", "VLMTensor", "VLMTestSupport"]),
    .testTarget(
      name: "VLMConvertTests",
      dependencies: [
        "VLMConvert", "VLMCheckpoint", "VLMContainer", "VLMInput", "VLMKernels", "VLMModels",
        "VLMNN", "VLMQuantize", "VLMTensor", "VLMTestSupport",
      ]),
    .testTarget(name: "VLMCommandLineTests", dependencies: ["VLMCommandLine", "VLMTensor"]),
    .testTarget(
      name: "VLMModelsTests",
      dependencies: ["VLMModels", "VLMNN", "VLMKernels", "VLMTensor", "VLMTestSupport"]),
    .testTarget(
      name: "VLMRuntimeTests",
      dependencies: [
        "VLMRuntime", "VLMContainer", "VLMConvert", "VLMCheckpoint", "VLMInput", "VLMKernels",
        "VLMModels", "VLMNN", "VLMTensor", "VLMTestSupport",
      ]),
    .testTarget(
      name: "CLITests",
      dependencies: [
        "VLMTensor", "VLMCheckpoint", "VLMContainer", "VLMConvert", "VLMInput", "VLMTestSupport",
        "vlm-convert", "vlm-run",
      ]),
    .testTarget(
      name: "VLMBenchTests",
      dependencies: [
        "VLMBench", "CVLMPeak", "VLMKernels", "VLMModels", "VLMConvert", "VLMInput", "VLMRuntime",
        "VLMTensor", "VLMTestSupport",
      ]),
    .target(
      name: "VLMFuzzTargets",
      dependencies: [
        "VLMCheckpoint", "VLMContainer", "VLMConvert", "VLMInput", "VLMKernels", "VLMModels",
        "VLMNN", "VLMQuantize", "VLMRuntime", "VLMTensor", "CZlib",
      ],
      path: "Tests/Fuzz/Targets"),
    .testTarget(
      name: "VLMFuzzTests", dependencies: ["VLMFuzzTargets"], path: "Tests/Fuzz/Regressions"),
    .testTarget(
      name: "VLMInputTests",
      dependencies: ["VLMInput", "VLMTensor", "VLMTestSupport", "SystemProbe"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
