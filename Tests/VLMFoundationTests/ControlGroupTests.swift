import Testing

@testable import VLMFoundation
@testable import VLMTensor

/// What a process may have, as files of the system say it; the files are given.
struct ControlGroupTests {
  private static let root = "/sys/fs/cgroup"

  private func group(_ files: [String: String]) -> ControlGroup { ControlGroup { files[$0] } }

  @Test("without control groups nothing is limited")
  func none() {
    let group = group([:])
    #expect(group.processors == nil)
    #expect(group.memoryLimit == nil)
    #expect(group.memoryAvailable == nil)
  }

  @Test("version 2 in a container: the files are at the root")
  func container() {
    let group = group([
      "/proc/self/cgroup": "0::/\n", Self.root + "/cpu.max": "150000 100000\n",
      Self.root + "/memory.max": "1000000\n", Self.root + "/memory.current": "700000\n",
      Self.root + "/memory.stat":
        "anon 200000\nfile 500000\ninactive_file 300000\nactive_file 150000\n",
    ])
    #expect(group.processors == 1.5)
    #expect(group.memoryLimit == 1_000_000)
    #expect(group.memoryAvailable == 750_000)
  }

  @Test("what may be planned is three quarters, less what is taken, within every limit")
  func left() {
    func left(_ group: ControlGroup, _ statm: String, _ space: Int? = nil) -> Int {
      Machine.left(physical: 4_000_000, group, statm: statm, page: 1000, addressSpace: space)
    }
    // Of 900 resident pages 700 are files'.
    #expect(left(group([:]), "2000 900 700 1 0 5 0\n") == 2_800_000)
    #expect(left(group([:]), "2000 900 700 1 0 5 0\n", 2_500_000) == 500_000)
    #expect(left(group([:]), "2000 900 700 1 0 5 0\n", 1_500_000) == 0)
    #expect(left(group([:]), "") == 3_000_000)
    // Half of a million is taken by what can be given back: 250,000 of 750,000.
    let limited = group([
      "/proc/self/cgroup": "0::/\n", Self.root + "/memory.max": "1000000\n",
      Self.root + "/memory.current": "750000\n",
      Self.root + "/memory.stat": "inactive_file 300000\nactive_file 200000\n",
    ])
    #expect(left(limited, "2000 900 700 1 0 5 0\n") == 500_000)
    #expect(limited.memoryLeft == 500_000)
    let old = group([
      "/proc/self/cgroup": "5:memory:/\n",
      Self.root + "/memory/memory.limit_in_bytes": "1000000\n",
      Self.root + "/memory/memory.usage_in_bytes": "950000\n",
      Self.root + "/memory/memory.stat": "total_inactive_file 100000\n",
    ])
    #expect(left(old, "2000 900 700 1 0 5 0\n") == 0)
  }

  @Test("version 2: the tightest group on the way to the root counts, whatever it limits")
  func ancestors() {
    let slice = Self.root + "/user.slice"
    let group = group([
      "/proc/self/cgroup": "0::/user.slice/run-1.scope\n",
      slice + "/run-1.scope/cpu.max": "max 100000\n", slice + "/cpu.max": "250000 50000\n",
      Self.root + "/cpu.max": "800000 100000",
      slice + "/run-1.scope/memory.max": "4000\n", slice + "/run-1.scope/memory.current": "1000\n",
      slice + "/memory.max": "5000\n", slice + "/memory.current": "4500\n",
    ])
    #expect(group.processors == 5)
    #expect(group.memoryLimit == 4000)
    #expect(group.memoryAvailable == 500)
  }

  @Test("memory.high limits as memory.max does; 'max' is no limit")
  func high() {
    let files = [
      "/proc/self/cgroup": "0::/a\n", Self.root + "/a/memory.max": "max\n",
      Self.root + "/a/memory.high": "9000\n", Self.root + "/a/memory.current": "10000\n",
    ]
    #expect(group(files).memoryLimit == 9000)
    #expect(group(files).memoryAvailable == 0)
    #expect(group(files.merging([Self.root + "/a/memory.high": "max\n"]) { $1 }).memoryLimit == nil)
  }

  @Test("version 1: each controller has a hierarchy of its own")
  func versionOne() {
    let group = group([
      "/proc/self/cgroup":
        "9:name=systemd:/\n4:memory:/job/7\n2:cpu,cpuacct:/docker/abc\n1:cpuset:/x\n",
      Self.root + "/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
      Self.root + "/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
      Self.root + "/memory/job/7/memory.limit_in_bytes": "6000\n",
      Self.root + "/memory/job/7/memory.usage_in_bytes": "5000\n",
      Self.root + "/memory/job/7/memory.stat":
        "cache 9\ninactive_file 7\ntotal_inactive_file 1000\ntotal_active_file 500\n",
      Self.root + "/memory/memory.limit_in_bytes": "9223372036854771712\n",
    ])
    #expect(group.processors == 0.5)
    #expect(group.memoryLimit == 6000)
    #expect(group.memoryAvailable == 2500)
  }

  @Test("version 1: a quota of -1 and the largest number of pages are no limits")
  func versionOneUnlimited() {
    let group = group([
      "/proc/self/cgroup": "4:memory:/\n2:cpu:/\n",
      Self.root + "/cpu/cpu.cfs_quota_us": "-1\n", Self.root + "/cpu/cpu.cfs_period_us": "100000\n",
      Self.root + "/memory/memory.limit_in_bytes": "9223372036854771712\n",
    ])
    #expect(group.processors == nil)
    #expect(group.memoryLimit == nil)
  }

  @Test("files that say something else are passed over")
  func strange() {
    for text in [
      "", "\n", "max", "a b", "-5 100000", "100000 0", "99999999999999999999 1", "1 2 3",
    ] {
      let group = group([
        "/proc/self/cgroup": "0::/../../other\nnonsense\n::\n", Self.root + "/cpu.max": text,
        Self.root + "/memory.max": text,
      ])
      #expect(group.processors == nil, "\(text)")
    }
    let group = group([
      Self.root + "/memory.max": "1000", Self.root + "/memory.current": "-7",
      Self.root + "/memory.stat":
        "inactive_file 9223372036854775807\nactive_file 9223372036854775807\n",
    ])
    #expect(group.memoryAvailable == 1000)
  }

  private func processors(_ quota: String, of count: Int) -> Int {
    ThreadCount.limited(count, group([Self.root + "/cpu.max": quota]))
  }

  @Test("threads are the quota rounded up, at least one and no more than processors")
  func threads() {
    #expect(processors("150000 100000", of: 8) == 2)
    #expect(processors("200000 100000", of: 8) == 2)
    #expect(processors("1000 100000", of: 8) == 1)
    #expect(processors("max 100000", of: 8) == 8)
    #expect(processors("9000000000000000000 1", of: 8) == 8)
    #expect(processors("max 100000", of: 100_000) == ThreadCount.maximum)
    #expect(processors("max 100000", of: 0) == 1)
  }

  @Test("memory is planned with under the tighter of the machine's and the control group's")
  func planned() {
    let limit = group([Self.root + "/memory.max": "\(400 << 20)"])
    let inside = Machine.memory(physical: 4 << 30, limit)
    #expect(inside.text == "300 MiB under the memory limit of this control group")
    let outside = Machine.memory(physical: 256 << 20, limit)
    #expect(outside.text == "192 MiB on this machine")
    #expect(Machine.memory(physical: 4 << 30, group([:])).planned == 3 << 30)
  }

  @Test("available is the less of what the machine and what the control group has")
  func available() {
    let text = "MemTotal: 9 kB\nMemAvailable:    1000 kB\n"
    func available(_ limit: Int, used: Int) -> Int? {
      let files = [Self.root + "/memory.max": "\(limit)", Self.root + "/memory.current": "\(used)"]
      return Machine.available(meminfo: text, group(files))
    }
    #expect(available(900_000, used: 100_000) == 800_000)
    #expect(available(9_000_000, used: 0) == 1_024_000)
    #expect(Machine.available(meminfo: text, group([:])) == 1_024_000)
    #expect(Machine.available(meminfo: "", group([:])) == nil)
  }

  @Test("this process has a processor and some memory")
  func here() {
    #expect(ThreadCount.available >= 1)
    #expect(Machine.memory.byteCount > 1 << 20)
  }
}
