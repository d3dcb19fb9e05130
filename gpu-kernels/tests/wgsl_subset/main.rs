//! Every shader stays in the deterministic subset of WGSL, as naga understands it, and the
//! check itself refuses what is outside of it.

mod subset;

use gpu_kernels::gpu::kernels::{Kernel, MAX_PARAMETER_BYTES, WORKGROUP};
use subset::{check, parse};

#[test]
fn every_shader_is_deterministic() {
    for kernel in Kernel::ALL {
        if let Err(reason) = check(kernel.source()) {
            panic!("{}.wgsl {reason}", kernel.name());
        }
    }
}

#[test]
fn parameters_lie_as_the_host_writes_them() {
    for kernel in Kernel::ALL {
        let (module, _) = parse(kernel.source()).unwrap();
        let naga::TypeInner::Struct { members, .. } = module
            .types
            .iter()
            .find(|(_, ty)| ty.name.as_deref() == Some("Params"))
            .map(|(_, ty)| &ty.inner)
            .unwrap()
        else {
            panic!("{}: Params is no struct", kernel.name());
        };
        // No gaps: each member begins where the last ended, as in a packed Rust struct.
        let mut end = 0;
        for member in members {
            assert_eq!(member.offset, end, "{}: {:?}", kernel.name(), member.name);
            end += module.types[member.ty].inner.size(module.to_ctx());
        }
        assert_eq!(end as usize, kernel.parameter_bytes(), "{}", kernel.name());
        assert!(end as usize <= MAX_PARAMETER_BYTES);
    }
}

#[test]
fn workgroups_and_bindings_are_as_the_host_counts_them() {
    for kernel in Kernel::ALL {
        let (module, _) = parse(kernel.source()).unwrap();
        let [entry] = module.entry_points.as_slice() else {
            panic!("{}: not one entry point", kernel.name());
        };
        assert_eq!(entry.name, "main");
        assert_eq!(entry.workgroup_size, [WORKGROUP, 1, 1], "{}", kernel.name());
        let mut bindings: Vec<u32> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| variable.binding.as_ref().map(|b| b.binding))
            .collect();
        bindings.sort_unstable();
        let want: Vec<u32> = (0..kernel.reads() as u32 + 2).collect();
        assert_eq!(bindings, want, "{}", kernel.name());
    }
}

/// A shader with this statement in it; `p` holds numbers known only at run time.
fn shader(body: &str) -> String {
    format!(
        "struct P {{ u: u32, i: i32, v: vec4<u32> }}
         @group(0) @binding(0) var<uniform> p: P;
         @group(0) @binding(1) var<storage, read_write> y: array<u32>;
         @compute @workgroup_size(64)
         fn main(@builtin(local_invocation_index) lane: u32) {{
             {body}
         }}"
    )
}

#[test]
fn what_the_subset_has_is_accepted() {
    for body in [
        "y[0] = p.u + 3u * p.v.x - lane;",
        "y[0] = p.u << 31u;",
        "y[0] = p.u >> (lane & 31u);",
        "y[0] = bitcast<u32>(p.i >> ((lane * 8u) & 31u));",
        "y[0] = p.u / 3u + p.u % 10u;",
        "y[0] = bitcast<u32>(clamp(p.i, -128i, 127i));",
        "y[0] = bitcast<u32>(max(p.i, min(p.i * 2i, 7i)));",
        "y[0] = select(p.u, ~p.v.y, p.i < 3i && lane != 2u);",
        "y[0] = pack4xI8Clamp(unpack4xI8(p.u)) ^ bitcast<u32>(dot4I8Packed(p.u, p.v.w));",
        "for (var k = 0u; k < p.u; k++) { if k == lane { continue; } y[k] = k; }",
    ] {
        assert_eq!(check(&shader(body)), Ok(()), "{body}");
    }
}

#[test]
fn the_rest_is_refused() {
    for (body, reason) in [
        ("let f = f32(p.u); y[0] = u32(f);", "type"),
        ("var f: f32; y[0] = bitcast<u32>(f);", "type"),
        ("y[0] = bitcast<u32>(exp(bitcast<f32>(p.u)));", "type"),
        ("y[0] = p.u << p.u;", "shift"),
        ("y[0] = p.u >> (p.u & 63u);", "shift"),
        ("y[0] = p.u >> (p.u | 31u);", "shift"),
        ("var s = 3u; s = p.u; y[0] = 1u << s;", "shift"),
        ("y[0] = bitcast<u32>(p.i / 3i);", "division"),
        ("y[0] = bitcast<u32>(p.i % 3i);", "division"),
        ("y[0] = p.u / p.v.x;", "division"),
        ("y[0] = p.u % (lane + 1u);", "division"),
        (
            "let q = p.v / vec4<u32>(1u, 2u, lane, 4u); y[0] = q.x;",
            "division",
        ),
        ("y[0] = bitcast<u32>(clamp(p.i, p.i, 127i));", "clamp"),
        ("y[0] = bitcast<u32>(clamp(p.i, 5i, -5i));", "clamp"),
        ("y[0] = bitcast<u32>(abs(p.i));", "Abs"),
        ("y[0] = countOneBits(p.u);", "CountOneBits"),
        ("y[0] = extractBits(p.u, p.v.x, p.v.y);", "ExtractBits"),
        ("y[0] = pack4x8snorm(bitcast<vec4<f32>>(p.v));", "type"),
        ("y[0] = arrayLength(&y);", "ArrayLength"),
        ("y[0] = u32(p.i);", "conversion"),
        ("y[0] = u32(lane == 1u);", "conversion"),
        (
            "let d = dot4I8Packed(lane, p.u) + dot4I8Packed(lane, p.v.x); y[0] = bitcast<u32>(d);",
            "two packed products",
        ),
    ] {
        let refused = check(&shader(body)).expect_err(body);
        assert!(refused.contains(reason), "{body}: {refused}");
    }
    for (source, reason) in [
        (
            "override n: u32 = 3u;
             @group(0) @binding(0) var<storage, read_write> y: array<u32>;
             @compute @workgroup_size(1) fn main() { y[0] = y[1] / n; }",
            "override",
        ),
        (
            "@group(0) @binding(0) var<storage, read_write> y: array<atomic<u32>>;
             @compute @workgroup_size(1) fn main() { atomicAdd(&y[0], 1u); }",
            "type",
        ),
        (
            "@group(0) @binding(0) var t: texture_2d<i32>;
             @group(0) @binding(1) var<storage, read_write> y: array<i32>;
             @compute @workgroup_size(1) fn main() { y[0] = textureLoad(t, vec2<i32>(), 0).x; }",
            "type",
        ),
        (
            "@group(0) @binding(0) var<storage, read_write> y: array<u32>;
             fn deep(n: u32) -> u32 { return n << n; }
             @compute @workgroup_size(1) fn main() { y[0] = deep(y[1]); }",
            "shift",
        ),
        (
            "@group(0) @binding(0) var<storage, read_write> y: array<u32>;
             var<private> seen: u32;
             @compute @workgroup_size(1) fn main() { seen += 1u; y[0] = seen; }",
            "address space",
        ),
        (
            "@group(0) @binding(0) var<storage, read_write> y: array<u32>;
             @compute @workgroup_size(1) fn main(@builtin(num_workgroups) n: vec3<u32>) {
                 y[0] = n.x;
             }",
            "builtin",
        ),
        ("fn broken( {", "parse"),
    ] {
        let refused = check(source).expect_err(source);
        assert!(refused.contains(reason), "{source}: {refused}");
    }
}
