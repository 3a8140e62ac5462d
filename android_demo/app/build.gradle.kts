import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "dev.edgernn.demo"
    compileSdk = 36

    defaultConfig {
        applicationId = "dev.edgernn.demo"
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    // The tests of src/test need Linux natives of LiteRT and run by `make android-test`, without an SDK.
    sourceSets["test"].java.setSrcDirs(emptyList<String>())
    sourceSets["test"].kotlin.setSrcDirs(emptyList<String>())

    lint.disable += "SetTextI18n" // a demo in one language
}

kotlin {
    compilerOptions { jvmTarget.set(JvmTarget.JVM_17) }
}

dependencies {
    implementation(libs.litert)
    androidTestImplementation(libs.androidx.test.runner)
    androidTestImplementation(libs.androidx.test.junit)
}

// Without models the app could only say that it has none.
tasks.named("preBuild") {
    val index = layout.projectDirectory.file("src/main/assets/index.json").asFile
    doFirst {
        check(index.exists()) { "no assets: run `make android-assets` in the project's root first" }
    }
}
