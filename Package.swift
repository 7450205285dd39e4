// swift-tools-version: 6.0
import PackageDescription

// The C kernels are compiled optimised in debug builds too: tests over a scalar reference would
// crawl otherwise. Contraction is off so that a kernel rounds the same way on every machine; where
// a fused multiply-add is wanted, the source says so. Lane vectors are passed between inlined
// functions only, so their calling convention (-Wpsabi) is moot.
let kernelFlags = cFlags("-O3")
// Unrolling more makes them half as long again, and no faster.
let encoderFlags = cFlags("-O2")

func cFlags(_ level: String) -> [CSetting] {
  [
    .unsafeFlags([
      level, "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-psabi",
    ])
  ]
}

let package = Package(
  name: "vlmz",
  products: [
    .library(name: "VLMZ", targets: ["VLMZ"]),
    .library(name: "VLMZConverter", targets: ["VLMZConverter"]),
    // What `scripts/fuzz` links; the commands are products without being named.
    .library(name: "VLMFuzz", type: .static, targets: ["VLMFuzzTargets"]),
    // What `scripts/build-library` makes libvlmz.so of.
    .library(name: "vlmz-objects", type: .static, targets: ["CVLMZBridge"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
  ],
  targets: [
    // C
    .target(
      name: "CVLMKernels", exclude: ["encode"], cSettings: kernelFlags,
      linkerSettings: [.linkedLibrary("m")]),
    .target(
      name: "CVLMEncoders", dependencies: ["CVLMKernels"], path: "Sources/CVLMKernels/encode",
      publicHeadersPath: ".", cSettings: encoderFlags),
    .target(name: "CVLMSystem", cSettings: kernelFlags),
    .target(name: "CVLMTables", cSettings: kernelFlags),
    .target(
      name: "CCodecs",
      cSettings: kernelFlags,
      linkerSettings: ["png", "jpeg", "webp", "webpdemux", "zstd", "z", "pcre2-8"].map {
        .linkedLibrary($0)
      }),
    .target(name: "CVLMPeak", dependencies: ["CVLMKernels"], cSettings: kernelFlags),
    // HTTP on libmicrohttpd, which the server alone needs.
    .target(
      name: "CVLMHTTP", cSettings: kernelFlags, linkerSettings: [.linkedLibrary("microhttpd")]),
    // Signal handlers and what else only a program may do; no library depends on it.
    .target(name: "CVLMCommandLine", dependencies: ["CVLMSystem"], cSettings: kernelFlags),
    .target(
      name: "CVLMSignature", cSettings: kernelFlags, linkerSettings: [.linkedLibrary("sodium")]),

    // Libraries, lowest first; a layer imports only what stands above it here.
    .target(name: "VLMFoundation", dependencies: ["CVLMSystem"]),
    .target(
      name: "VLMTensor",
      dependencies: ["VLMFoundation", "CVLMEncoders", "CVLMKernels", "CVLMPeak", "CVLMSystem"]),
    .target(
      name: "VLMCheckpoint", dependencies: ["VLMFoundation", "VLMTensor", "CVLMKernels", "CCodecs"]),
    .target(
      name: "VLMContainer", dependencies: ["VLMFoundation", "VLMTensor", "CCodecs", "CVLMSystem"]),
    .target(
      name: "VLMSignature", dependencies: ["VLMFoundation", "VLMContainer", "CVLMSignature"]),
    .target(
      name: "VLMDelta", dependencies: ["VLMFoundation", "VLMTensor", "VLMContainer", "CCodecs"]),
    // The packed form of a container, for transfers.
    .target(
      name: "VLMTransport",
      dependencies: ["VLMFoundation", "VLMTensor", "VLMContainer", "CCodecs", "CVLMSystem"]),
    .target(name: "VLMImages", dependencies: ["VLMFoundation", "CCodecs"]),
    .target(name: "VLMText", dependencies: ["VLMFoundation", "CCodecs"]),
    .target(name: "VLMModels", dependencies: ["VLMFoundation", "VLMTensor"]),
    .target(
      name: "VLMConversion",
      dependencies: [
        "CVLMTables", "VLMFoundation", "VLMTensor", "VLMCheckpoint", "VLMContainer", "VLMImages",
        "VLMText", "VLMModels",
      ]),
    // Running a model needs neither checkpoints nor their conversion.
    .target(
      name: "VLMZ",
      dependencies: [
        "VLMContainer", "VLMFoundation", "VLMImages", "VLMModels", "VLMSignature", "VLMTensor",
        "VLMText", "VLMTransport",
      ]),
    .target(
      name: "VLMZConverter",
      dependencies: [
        "VLMFoundation", "VLMTensor", "VLMCheckpoint", "VLMContainer", "VLMImages", "VLMText",
        "VLMModels", "VLMConversion", "VLMZ",
      ]),

    // The C interface: the header, and the Swift functions behind it.
    // A thread's own variables in a shared library take code that may lie anywhere, which compilers for
    // ARM make only when they are told.
    .target(name: "CVLMZ", cSettings: kernelFlags + [.unsafeFlags(["-fPIC"])]),
    .target(
      name: "CVLMZBridge", dependencies: ["CVLMZ", "VLMZ", "VLMZConverter", "VLMFoundation"]),

    // The server's interface, without its sockets.
    .target(
      name: "VLMServer",
      dependencies: [
        "VLMFoundation", "VLMTensor", "VLMContainer", "VLMImages", "VLMText", "VLMModels", "VLMZ",
      ],
      resources: [.embedInCode("Page/page.html")]),

    .target(
      name: "VLMBench",
      dependencies: [
        "CVLMKernels", "CVLMPeak", "VLMFoundation", "VLMTensor", "VLMContainer", "VLMImages",
        "VLMText", "VLMModels", "VLMConversion", "VLMZ",
      ]),

    // Commands
    .target(
      name: "VLMCommandLine",
      dependencies: [
        "VLMContainer", "VLMFoundation", "VLMSignature", "VLMTensor", "VLMTransport",
        "CVLMCommandLine",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "vlm-convert",
      dependencies: [
        "VLMCheckpoint", "VLMCommandLine", "VLMContainer", "VLMConversion", "VLMDelta",
        "VLMFoundation", "VLMImages", "VLMModels", "VLMSignature", "VLMTensor", "VLMText",
        "VLMTransport", "VLMZ", "VLMZConverter",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "vlm-run",
      dependencies: [
        "VLMCommandLine", "VLMCheckpoint", "VLMContainer", "VLMFoundation", "VLMImages",
        "VLMModels", "VLMTensor", "VLMText", "VLMZ",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "vlm-serve",
      dependencies: [
        "CVLMHTTP", "VLMCheckpoint", "VLMCommandLine", "VLMContainer", "VLMFoundation", "VLMModels",
        "VLMServer", "VLMTensor", "VLMZ",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "vlm-bench",
      dependencies: [
        "VLMCommandLine", "VLMBench", "VLMContainer", "VLMFoundation", "VLMModels", "VLMTensor",
        "VLMText", "VLMZ",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // Tests, one target for each that they test
    .target(
      name: "VLMTestSupport", dependencies: ["VLMFoundation", "VLMTensor", "VLMCheckpoint"],
      path: "Tests/VLMTestSupport"),
    .executableTarget(
      name: "SystemProbe",
      dependencies: [
        "VLMCommandLine", "VLMFoundation", "VLMTensor", "VLMCheckpoint", "VLMImages", "VLMText",
      ],
      path: "Tests/SystemProbe"),
    .testTarget(
      name: "VLMFoundationTests",
      dependencies: ["VLMFoundation", "VLMTensor", "VLMTestSupport", "SystemProbe"]),
    .testTarget(
      name: "VLMTensorTests",
      dependencies: ["VLMTensor", "VLMFoundation", "CVLMKernels", "VLMTestSupport"]),
    .testTarget(
      name: "VLMCheckpointTests",
      dependencies: [
        "VLMCheckpoint", "VLMFoundation", "VLMTensor", "CCodecs", "VLMTestSupport",
        "SystemProbe",
      ]),
    .testTarget(
      name: "VLMContainerTests",
      dependencies: [
        "VLMContainer", "VLMFoundation", "VLMTensor", "VLMTestSupport", "CVLMSystem",
      ]),
    .testTarget(
      name: "VLMSignatureTests",
      dependencies: [
        "VLMSignature", "VLMContainer", "VLMFoundation", "VLMTensor", "VLMTestSupport",
      ]),
    .testTarget(
      name: "VLMDeltaTests",
      dependencies: ["VLMDelta", "VLMContainer", "VLMFoundation", "VLMTensor", "VLMTestSupport"]),
    .testTarget(
      name: "VLMTransportTests",
      dependencies: [
        "VLMTransport", "VLMContainer", "VLMFoundation", "VLMTensor", "VLMTestSupport",
      ]),
    .testTarget(
      name: "VLMImagesTests",
      dependencies: ["VLMImages", "VLMFoundation", "VLMTestSupport", "SystemProbe"]),
    .testTarget(
      name: "VLMTextTests",
      dependencies: ["VLMText", "VLMFoundation", "VLMTestSupport"]),
    .testTarget(
      name: "VLMModelsTests",
      dependencies: ["VLMModels", "VLMFoundation", "VLMTensor", "VLMTestSupport"]),
    .testTarget(
      name: "VLMConversionTests",
      dependencies: [
        "VLMConversion", "VLMCheckpoint", "VLMContainer", "VLMFoundation", "VLMImages",
        "VLMModels", "VLMTensor", "VLMText", "VLMTestSupport",
      ]),
    .testTarget(
      name: "VLMZTests",
      dependencies: [
        "VLMZ", "VLMCheckpoint", "VLMContainer", "VLMConversion", "VLMFoundation", "VLMImages",
        "VLMModels", "VLMTensor", "VLMText", "VLMTestSupport",
      ]),
    .testTarget(
      name: "VLMZConverterTests",
      dependencies: [
        "VLMZConverter", "VLMCheckpoint", "VLMContainer", "VLMConversion", "VLMFoundation",
        "VLMImages", "VLMModels", "VLMTensor", "VLMText", "VLMTestSupport", "VLMZ",
      ]),
    .testTarget(
      name: "VLMServerTests",
      dependencies: ["VLMServer", "VLMFoundation", "VLMZ"]),
    .testTarget(
      name: "VLMBenchTests",
      dependencies: [
        "VLMBench", "CVLMPeak", "VLMConversion", "VLMFoundation", "VLMImages", "VLMModels",
        "VLMTensor", "VLMText", "VLMTestSupport", "VLMZ",
      ]),
    .testTarget(
      name: "CLITests",
      dependencies: [
        "VLMCommandLine", "VLMCheckpoint", "VLMContainer", "VLMConversion", "VLMFoundation",
        "VLMImages", "VLMTensor", "VLMTestSupport", "VLMText", "VLMTransport", "VLMZ",
        "VLMZConverter", "vlm-convert", "vlm-run", "vlm-serve",
      ]),
    .target(
      name: "VLMFuzzTargets",
      dependencies: [
        "VLMCheckpoint", "VLMContainer", "VLMConversion", "VLMDelta", "VLMFoundation", "VLMImages",
        "VLMModels", "VLMServer", "VLMSignature", "VLMTensor", "VLMText", "VLMTransport", "VLMZ",
        "CCodecs",
      ],
      path: "Tests/Fuzz/Targets"),
    .testTarget(
      name: "VLMFuzzTests", dependencies: ["VLMFuzzTargets"], path: "Tests/Fuzz/Regressions"),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)

// The names of properties and cases, which only a mirror or an error without a description would print, are
// left out of packages but where ArgumentParser reads them, in the commands. See docs/installing.md.
if Context.environment["PACKAGING"] != nil {
  for target in package.targets
  where target.type == .regular && target.name.hasPrefix("VLM") && target.name != "VLMCommandLine" {
    target.swiftSettings = [.unsafeFlags(["-Xfrontend", "-disable-reflection-metadata"])]
  }
  // SwiftPM 6.0 asks for no header of a Swift target, which `scripts/build-library` compares with ours.
  #if !compiler(>=6.3)
    for target in package.targets where target.name == "CVLMZBridge" {
      target.swiftSettings = [
        .unsafeFlags(["-emit-objc-header-path", ".build/packaging/CVLMZBridge-Swift.h"])
      ]
    }
  #endif
}

// Calibrating, converting and resizing take ten times as long unoptimised, of which the tests do much.
// `scripts/test` and `scripts/lint` ask for it; who debugs does not want it.
if Context.environment["VLMZ_OPTIMIZED"] != nil {
  let hot = [
    "VLMTensor", "VLMCheckpoint", "VLMImages", "VLMText", "VLMConversion", "VLMZConverter",
  ]
  for target in package.targets where hot.contains(target.name) {
    target.swiftSettings = [.unsafeFlags(["-O"], .when(configuration: .debug))]
  }
}
