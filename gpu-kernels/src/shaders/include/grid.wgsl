// Which item of work an invocation has. Every kernel counts its items from 0; a dispatch does
// those from `begin` to `end`, in rows of `width` workgroups. So one mechanism keeps below the
// limit on workgroups per dimension and keeps dispatches short.

const WORKGROUP: u32 = 64u;

fn item_of(group: vec3<u32>, lane: u32, begin: u32, width: u32) -> u32 {
    return begin + (group.y * width + group.x) * WORKGROUP + lane;
}
