//! 录像检索, 图片检索: a camera's files found by day, time, lock and name, and what is done with many of them at once.

mod bulk;
mod cameras;
mod month;
mod picture;
mod search;
pub(in crate::portal) mod sought;

use super::Route;

words! {
    /// The words of these pages.
    struct FileWords;
    camera: "摄像机", "Camera";
    choose_camera: "选择摄像机", "Choose a camera";
    other_camera: "换一台", "Another camera";
    find_camera: "名称、位置或 AK", "Name, place or access key";
    today: "当日文件", "Files of the day";
    newest: "最新图片", "Newest picture";
    no_cameras: "还没有摄像机", "No cameras yet";
    no_cameras_do: "开通子账户后，摄像机上传的录像和图片会出现在这里。", "Open a sub-account; what its camera uploads is then found here.";
    recorded: "有录像", "Recorded";
    missing: "缺失", "Missing";
    from: "从", "From";
    to: "到", "To";
    any: "全部", "All";
    only_locked: "已锁定", "Locked";
    only_open: "未锁定", "Not locked";
    name: "文件名包含", "Name contains";
    ever: "不限日期", "Any day";
    one_day: "按日期", "One day";
    none: "这段时间没有文件", "There are no files of that time";
    none_match: "没有符合条件的文件", "No file matches";
    none_match_yet: "到此处还没有符合条件的文件，可继续向更早查找", "No file matches so far; go on to older ones";
    why_gone: "文件不在了？", "Is a file gone?";
    older: "更早", "Older";
    newest_first: "回到最新", "Back to the newest";
    files: "个文件", "files";
    of_time: "这段时间共", "of that time:";
    uploaded: "上传完成", "Uploaded";
    file: "文件", "File";
    size: "大小", "Size";
    lock: "锁定", "Lock";
    play: "播放", "Play";
    download: "下载", "Download";
    choose: "选择", "Choose";
    choose_all: "选择本页全部", "Choose all of this page";
    all_that_match: "全部符合条件的文件（不只本页）", "All files that match, not only this page";
    chosen: "对选中的文件", "With the chosen files";
    reason: "原因（锁定、解锁时必填）", "Reason (for a lock or its end)";
    do_zip: "打包下载", "Download as ZIP";
    do_lock: "锁定", "Lock";
    do_unlock: "解锁", "Unlock";
    do_delete: "删除…", "Delete…";
    delete: "删除文件", "Delete files";
    oldest: "最早", "Oldest";
    newest_file: "最新", "Newest";
    goes: "将删除", "Will be deleted";
    stays: "已锁定，保留", "Locked, will stay";
    back: "返回", "Back";
    previous: "上一张", "Previous";
    next: "下一张", "Next";
    facts: "文件信息", "About the file";
    why: "原因", "Reason";
    not_locked: "未锁定", "Not locked";
    month_before: "上个月", "The month before";
    month_after: "下个月", "The month after";
}

pub(super) fn routes() -> Vec<Route> {
    let mut all = search::routes();
    all.extend(picture::routes());
    all.extend(bulk::routes());
    all
}
