//! The words of sign-in, overview, accounts, sub-accounts, users, audit log and of one's own account.

use super::form::Form;
use super::shell::Shell;

words! {
    /// See above.
    struct PageWords;
    user_name: "用户名", "User name";
    password: "密码", "Password";
    code: "动态验证码", "Authenticator code";
    code_help: "启用了动态验证码的用户填写", "If you have a second factor";
    setup: "首次设置", "First setup";
    setup_help: "服务器启动时会在终端打印一次性设置码。凭它创建第一个业务管理员。", "The server prints a one-time setup code when it starts. It makes the first user of operations staff.";
    setup_code: "设置码", "Setup code";
    setup_do: "创建并登录", "Create and sign in";
    password_help: "10 至 256 个字符", "10 to 256 characters";
    role: "角色", "Role";
    account: "账户", "Account";
    account_none: "（不属于账户）", "(of no account)";
    disks: "磁盘", "Disks";
    disk_free: "可用", "Free";
    promised: "已承诺", "Promised";
    promised_help: "各账户空间之和", "Sum of the accounts' spaces";
    handed_out: "已分配", "Handed out";
    handed_out_help: "各子账户空间之和", "Sum of the sub-accounts' spaces";
    over_promised: "承诺的空间超过磁盘容量", "More is promised than the disks hold";
    files: "文件", "Files";
    sub_accounts: "子账户", "Sub-accounts";
    uploads_now: "正在上传", "Uploading now";
    commit_queue: "待提交", "Waiting to commit";
    scrub: "巡检", "Scrub";
    scrub_passes: "已完成轮数", "Passes";
    scrub_damaged: "发现损坏", "Damaged";
    addresses: "地址", "Addresses";
    address_s3: "摄像机与手机（S3）", "Cameras and phones (S3)";
    address_soap: "平台接口（SOAP）", "Platform (SOAP)";
    space: "空间", "Space";
    left_to_hand_out: "可分配", "Left to hand out";
    opened: "开户时间", "Opened";
    open_account: "开户", "Open an account";
    open_account_help: "账户名和空间必填；密码留空则自动生成，只显示一次。", "A name and a space; a password that is left empty is made up and shown once.";
    account_name: "账户名", "Account name";
    account_name_help: "1 至 64 个字符", "1 to 64 characters";
    space_gb: "空间（GB）", "Space (GB)";
    alert_url: "告警回调地址", "Alert URL";
    alert_url_help: "平台接收告警的 http 或 https 地址，可留空", "Where its platform takes alerts, http or https; may be empty";
    max_sub_accounts: "子账户上限", "Most sub-accounts";
    no_accounts: "还没有账户", "No accounts yet";
    no_accounts_do: "先为一个省开户，平台才能开通子账户。", "Open one for a province; its platform can then open sub-accounts.";
    slip: "开户凭证", "Credential slip";
    slip_help: "密码只在此页显示一次，请打印或抄录后交给平台。", "The password is shown here and nowhere else: print it for the platform.";
    done: "完成", "Done";
    wsdl: "接口描述（WSDL）", "WSDL";
    modify: "修改", "Modify";
    new_password: "新密码", "New password";
    close_account: "销户", "Close the account";
    closes_help: "销户会关闭全部子账户，删除其全部文件（包括已锁定的），且不可恢复。", "All its sub-accounts are closed and all their files deleted, the locked ones too. There is no way back.";
    no_sub_accounts: "还没有子账户", "No sub-accounts yet";
    no_sub_accounts_do: "平台开通（7.2）或在此开通后，摄像机即可上传。", "They are opened by the platform (7.2).";
    ak: "AK", "Access key";
    policy: "写满后", "When full";
    policy_loop: "覆盖最旧", "Overwrites";
    policy_stop: "停止上传", "Stops";
    last_upload: "最近上传", "Last upload";
    above_warning: "超过 80 %", "Above 80 %";
    full: "已满", "Full";
    overwrites: "覆盖次数", "Overwrites";
    add_user: "添加用户", "Add a user";
    add_user_help: "省级管理员和查看员属于一个账户；密码留空则自动生成，只显示一次。", "Province and viewer belong to one account; a password that is left empty is made up and shown once.";
    user_added: "用户已添加", "The user is there";
    password_reset: "密码已重置", "The password is reset";
    password_reset_help: "新密码只显示这一次；该用户的全部会话已结束。", "The new password is shown this once; all sessions of the user are ended.";
    user_slip_help: "密码只显示这一次。", "The password is shown this once.";
    disable: "停用", "Disable";
    enable: "启用", "Enable";
    remove: "删除", "Remove";
    reset_password: "重置密码", "Reset the password";
    disabled: "已停用", "Disabled";
    second_factor: "动态验证码", "Second factor";
    on: "已启用", "On";
    off: "未启用", "Off";
    last_sign_in: "最近登录", "Last sign-in";
    actions: "操作", "Actions";
    change_password: "修改密码", "Change the password";
    old_password: "当前密码", "Present password";
    sessions: "会话", "Sessions";
    session_from: "来源", "From";
    session_agent: "浏览器", "Browser";
    session_begun: "开始", "Begun";
    session_seen: "最近使用", "Last used";
    session_this: "当前会话", "This one";
    session_end: "结束", "End";
    factor_enable: "启用动态验证码", "Switch the second factor on";
    factor_help: "在验证器应用中手工输入下面的密钥，然后填写它显示的六位数字。", "Type this secret into an authenticator app, then enter the six digits that it shows.";
    factor_secret: "密钥", "Secret";
    factor_disable: "停用动态验证码", "Switch it off";
    when: "时间", "When";
    who: "谁", "Who";
    what: "做了什么", "What";
    target: "对象", "On what";
    outcome: "结果", "Outcome";
    newest_first: "最新在前", "Newest first";
    closed: "账户已销户", "The account is closed";
    suspended: "账户已暂停", "The account is suspended";
    resumed: "账户已恢复", "The account goes on";
    disk_failed: "故障", "Failed";
    disk_full: "已满", "Full";
    disk_offline: "离线", "Offline";
    disk_ok: "正常", "OK";
    factor_off: "动态验证码已停用", "The second factor is off";
    factor_on: "动态验证码已启用", "The second factor is on";
    password_changed: "密码已修改，请重新登录", "The password is changed; sign in again";
    session_ended: "会话已结束", "The session is ended";
    user_disabled: "用户已停用，其全部会话已结束", "The user is disabled and all its sessions are ended";
    user_removed: "用户已删除，其全部会话已结束", "The user is removed and all its sessions are ended";
}

impl PageWords {
    /// The frame with a word of what the page before did: a word of ours, never a text that came.
    pub(super) fn flash(shell: Shell) -> Shell {
        let (w, t) = (Self::of(shell.lang), shell.t);
        let query = shell.here.split_once('?').map(|(_, query)| query);
        let flash = match Form::of_query(query).get("done") {
            "saved" => Some(t.saved),
            "closed" => Some(w.closed),
            "suspended" => Some(w.suspended),
            "resumed" => Some(w.resumed),
            "session" => Some(w.session_ended),
            "user-disabled" => Some(w.user_disabled),
            "user-removed" => Some(w.user_removed),
            "factor-on" => Some(w.factor_on),
            "factor-off" => Some(w.factor_off),
            "password" => Some(w.password_changed),
            _ => None,
        };
        shell.saying(flash)
    }
}
